"""The kind of job that trains a classifier against attacks."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from dashboard.services.classifiers import MODELS, Classifiers, LoadedClassifier
from dashboard.services.jobs.hardening_files import (
    REPORT,
    RUN,
    about_run,
    curves_report,
    put_epochs,
    write_curves,
    write_json,
)
from dashboard.services.jobs.hardening_settings import model_name, training_of
from dashboard.services.jobs.job import JobContext
from engine.errors import Cancelled, EngineError, InvalidInputError
from engine.hardening.catalogue import hardening_methods
from engine.hardening.curves import LearningCurves
from engine.hardening.hardening import harden
from engine.hardening.settings import TrainingSettings
from engine.network.checkpoint import save_checkpoint
from engine.progress import Progress
from engine.registry import Registry
from engine.version import VERSION

log = logging.getLogger(__name__)
LABEL_DIGITS = 4


def run(settings: Mapping[str, Any], folder: Path, progress: Progress, context: JobContext) -> Mapping[str, Any]:
    """Hardens a classifier, registers the new one and writes :data:`REPORT` with the checkpoints of all epochs.

    Args:
        settings: as :func:`dashboard.services.jobs.hardening_settings.check` leaves them.
        folder: where the result goes.
        progress: told after every batch.
        context: every epoch is kept in its work folder, beside the curves, so that a stopped run goes on.

    Raises:
        EngineError: if the classifier cannot be used, training diverges or memory runs out; the last good checkpoint
            stays in the work folder.
    """
    models, run_folder = Classifiers(context.server), context.work / RUN
    loaded = same_model(models, settings["model"], settings["weights"])
    training, wanted = training_of(settings, loaded), int(settings["epochs"])
    method = hardening_methods[settings["way"]].create(**settings["way_settings"])

    def on_epoch(curves: LearningCurves) -> None:
        write_curves(context.work, curves, wanted)

    with _told_to_visitors(run_folder):
        module, found = harden(
            loaded.classifier, loaded.dataset, method, settings=training, seed=settings["seed"],
            threads=_threads(context), folder=run_folder, keep_epochs=True, progress=progress, on_epoch=on_epoch,
        )  # fmt: skip
        put_epochs(context.work, folder)
        name = model_name(settings)
        label = free_label(found.label, name, models.registry())
        card = found.card() | {"label": label, "job": context.work.parent.name}
        card = save_weights(module, context.server.data_dir / MODELS, name, card, training)
    curves = curves_report(found.curves, wanted)
    write_json(folder / REPORT, {"model": name, "label": label, "card": card, "curves": curves})
    return {"model": name, "epochs": found.curves.epochs, "test accuracy": round(found.test_accuracy, 4)}


def save_weights(
    module: nn.Module, folder: Path, name: str, card: Mapping[str, Any], training: TrainingSettings
) -> dict[str, Any]:
    """Saves a model with its card among the server's own, in the precision that its training is stored in."""
    dtype = torch.float16 if training.stored == "float16" else None
    return save_checkpoint(module, folder / f"{name}.safetensors", card, dtype=dtype)


def same_model(models: Classifiers, name: str, key: str) -> LoadedClassifier:
    """The classifier that a job was asked for.

    Raises:
        EngineError: if there is none of that name, it is damaged, or has other weights by now.
    """
    loaded = models.get(name)
    if loaded.classifier.key != key:
        raise InvalidInputError(
            f"The model {loaded.classifier.label} has changed since this was asked for; ask for it anew."
        )
    loaded.classifier.require_sound()
    return loaded


def free_label(label: str, name: str, registry: Registry[Any]) -> str:
    """The label, told apart from that of another model by some digits of the name's hash."""
    if label not in {entry.label for entry in registry if entry.name != name}:
        return label
    digits = name.partition("-epoch")[0].rpartition("-")[2]
    return f"{label} ({digits[:LABEL_DIGITS]})"


def _threads(context: JobContext) -> int:
    """How many threads train: as many as before, where a run goes on; it ends with the same weights only with these.

    A run of another version of the engine would not go on; its state is taken away.
    """
    about = about_run(context.work)
    if about is not None and about.get("version") != VERSION:
        log.warning("the state of version %s is not used; training begins anew", about.get("version"))
        shutil.rmtree(context.work / RUN)
        about = None
    return context.threads if about is None else int(about["threads"])


@contextmanager
def _told_to_visitors(run_folder: Path) -> Iterator[None]:
    """What goes wrong is said without the place of the run's folder, which is nobody's business; the log has it all.

    The engine's sentence stands as it is also where memory ran out: it names the epoch and what is left of the run.
    """
    try:
        yield
    except Cancelled:
        raise
    except EngineError as error:
        log.error("hardening failed", exc_info=error)
        raise EngineError(str(error).replace(f"{run_folder}{os.sep}", "").replace(str(run_folder), "")) from None
    except SafetensorError as error:
        if "os error 28" in str(error):  # as the library tells of a full disk
            raise OSError(errno.ENOSPC, str(error)) from error
        raise
