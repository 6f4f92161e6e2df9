"""The kind of job that takes class paths after every epoch of a hardening."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dashboard.services.classifiers import Classifiers
from dashboard.services.jobs.folders import JobFolder
from dashboard.services.jobs.folders import check as check_result
from dashboard.services.jobs.hardening import same_model
from dashboard.services.jobs.hardening_files import EPOCHS, REPORT, RUN, write_json
from dashboard.services.jobs.job import JobContext
from engine.errors import EngineError, InvalidInputError
from engine.hardening.phases import training_phases
from engine.hardening.state import epoch_weights
from engine.progress import Progress


def run(settings: Mapping[str, Any], folder: Path, progress: Progress, context: JobContext) -> Mapping[str, Any]:
    """Takes the class paths of a run's checkpoints and writes :data:`REPORT`.

    Args:
        settings: as :func:`dashboard.services.jobs.phases_settings.check` leaves them.
        folder: where the report goes.
        progress: told after every epoch.
        context: where the other job's files are.

    Raises:
        EngineError: if the classifier has other weights by now, or the checkpoints are gone or damaged.
    """
    torch.set_num_threads(context.threads)
    loaded = same_model(Classifiers(context.server), settings["model"], settings["weights"])
    until = loaded.classifier.card.get("stopped_after")
    files = checkpoints(context.server.data_dir / "jobs" / settings["harden"], until)
    found = training_phases(loaded.classifier, loaded.dataset, files, n_images=settings["phased"], progress=progress)
    write_json(folder / REPORT, {"model": settings["model"], "label": loaded.classifier.label} | found.report())
    return {"epochs": len(found.phases), "images": found.n_images}


def checkpoints(path: Path, until: int | None = None) -> dict[int, Path]:
    """By epoch, the weights that a hardening's job has: of its result, or of its unfinished work.

    Args:
        path: the job's folder.
        until: the last epoch that is wanted; None takes all.

    Raises:
        InvalidInputError: if there are none.
        EngineError: if the result is damaged.
    """
    folder = JobFolder(path)
    if folder.has_result():
        try:
            check_result(folder.result)
        except EngineError as error:
            raise EngineError(f"The checkpoints of this run are damaged ({error}); run the hardening again.") from error
    found = epoch_weights(folder.result / EPOCHS) or epoch_weights(folder.work / RUN)
    wanted = {epoch: file for epoch, file in found.items() if until is None or epoch <= until}
    if not wanted:
        raise InvalidInputError("The checkpoints of this run are gone: its job was removed. Harden the model again.")
    return wanted
