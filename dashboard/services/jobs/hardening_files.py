"""What a hardening leaves in its folders: curves while it runs, checkpoints when it stops, a report at the end."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import InvalidInputError
from engine.files import write_atomically
from engine.hardening.curves import LearningCurves
from engine.hardening.state import MANIFEST, epoch_weights
from engine.network.checkpoint import file_sha256

#: Among the unfinished work: the folder of the run, and its curves.
RUN, CURVES = "run", "curves.json"
#: Among the result: the report, and the weights of every epoch.
REPORT, EPOCHS = "report.json", "epochs"


@dataclass(frozen=True, slots=True, eq=False)
class LastGood:
    """The last checkpoint of a run that was stopped.

    Attributes:
        epoch: how many epochs were finished.
        weights: file of the weights after them.
        curves: of these epochs.
        about: what determines the run, as the engine noted it.
    """

    epoch: int
    weights: Path
    curves: LearningCurves
    about: Mapping[str, Any]


def curves_report(curves: LearningCurves, wanted: int) -> dict[str, Any]:
    """The curves in plain values, and how many epochs were asked for."""
    return curves.report() | {"epochs_wanted": wanted}


def write_curves(work: Path, curves: LearningCurves, wanted: int) -> None:
    """Writes the curves for whoever watches, whole or not at all."""
    write_json(work / CURVES, curves_report(curves, wanted))


def read_curves(work: Path) -> Mapping[str, Any] | None:
    """The curves of a run that has not ended, or was stopped; None before its first epoch."""
    try:
        found = json.loads((work / CURVES).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there yet, or the work was just taken away
        return None
    return found if isinstance(found, dict) else None


def epochs_kept(work: Path) -> int:
    """How many epochs a stopped run could go on from."""
    manifest = _manifest(work)
    return 0 if manifest is None else int(manifest["epoch"])


def about_run(work: Path) -> Mapping[str, Any] | None:
    """What determines the run whose state lies there; None where there is none."""
    manifest = _manifest(work)
    return None if manifest is None else dict(manifest["about"])


def last_good(work: Path) -> LastGood:
    """The last checkpoint of a run.

    Raises:
        InvalidInputError: if there is none, or its files are damaged.
    """
    manifest, run = _manifest(work), work / RUN
    if manifest is None or not manifest["epoch"]:
        raise InvalidInputError("It was stopped before its first epoch was finished; there is nothing to keep.")
    try:
        for name, digest in manifest["files"].items():
            if file_sha256(run / name) != digest:
                raise ValueError(f"{name} is not what was written")
        state = next(name for name in manifest["files"] if name.endswith(".json"))
        curves = LearningCurves.from_report(json.loads((run / state).read_text(encoding="utf-8"))["curves"])
        epoch = int(manifest["epoch"])
        return LastGood(epoch, epoch_weights(run)[epoch], curves, dict(manifest["about"]))
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise InvalidInputError(f"Its last checkpoint is damaged ({error}); run it again.") from error


def put_epochs(work: Path, result: Path) -> None:
    """Makes the weights of all epochs part of the result.

    They are linked, not moved: a process that is killed before its result is in place goes on from what it had.
    """
    (result / EPOCHS).mkdir()
    for file in epoch_weights(work / RUN).values():
        try:
            os.link(file, result / EPOCHS / file.name)
        except OSError:  # a disk without hard links
            shutil.copyfile(file, result / EPOCHS / file.name)


def write_json(file: Path, values: Mapping[str, Any]) -> None:
    """Writes plain values, whole or not at all."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False)
    write_atomically(file, lambda partial: partial.write_text(text, encoding="utf-8"))


def _manifest(work: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((work / RUN / MANIFEST).read_text(encoding="utf-8"))
        int(found["epoch"]), dict(found["files"]), dict(found["about"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(found)
