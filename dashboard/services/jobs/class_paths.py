"""The kind of job that computes a classifier's class paths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dashboard.services.classifiers import Classifiers
from dashboard.services.jobs.job import JobContext
from engine.errors import InvalidInputError
from engine.paths.class_paths import compute_class_paths
from engine.progress import Progress

FILE = "class-paths.npz"


def run(settings: Mapping[str, Any], folder: Path, progress: Progress, context: JobContext) -> Mapping[str, Any]:
    """Takes the class paths of the training images of a classifier and saves them as :data:`FILE`.

    Args:
        settings: "model", a classifier's name; "theta"; and, if given, "weights", the content key it must have.
        folder: where the file goes.
        progress: told after every shard.
        context: the work resumes from a file in its work folder.

    Raises:
        EngineError: if the classifier cannot be used, or has other weights.
    """
    torch.set_num_threads(context.threads)
    loaded = Classifiers(context.server).get(settings["model"])
    classifier = loaded.classifier
    classifier.require_sound()
    if settings.get("weights", classifier.key) != classifier.key:
        raise InvalidInputError(f"The model {classifier.label} has changed since this was asked for; ask for it anew.")
    class_paths = compute_class_paths(
        classifier.module,
        loaded.dataset.train,
        classifier.classes,
        theta=settings["theta"],
        resume_file=context.work / "class-paths.npz",
        workers=context.threads,
        progress=progress,
    )
    class_paths.save(folder / FILE)
    return {"images": int(class_paths.counts.sum()), "classes": len(classifier.classes), "weights": classifier.key}
