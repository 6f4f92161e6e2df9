"""The kind of job that runs a detection study: attacks, detectors, baselines and sweeps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dashboard.services.classifiers import Classifiers, LoadedClassifier
from dashboard.services.jobs.job import JobContext
from dashboard.studies.form import StudyForm, attack_choices, field_text, read_study_form
from engine.attacks.catalogue import attacks
from engine.detection.adaptive_evaluation import AdaptiveSettings
from engine.detection.attention import AttentionSettings
from engine.detection.experiment import detect, run_sweeps
from engine.detection.outcome import Detection, DetectionSettings, card_of
from engine.detection.report import write_report
from engine.detection.storage import save_detector
from engine.detection.study import Plan
from engine.errors import InvalidInputError
from engine.locations import CACHE
from engine.paths.aggregation import ClassPaths
from engine.paths.class_paths import class_paths_file, class_paths_once
from engine.progress import Progress, silent, span

STUDY = "study.json"
DETECTORS = "detectors"
# CDRP's gate vectors have no joint similarity; the paper fits trees on them.
ON_GATES = ("random_forest", "ada_boost", "gradient_boosting")


def run(settings: Mapping[str, Any], folder: Path, progress: Progress, context: JobContext) -> Mapping[str, Any]:
    """Runs a study and writes its report as :data:`STUDY`, and each path detector into a folder of :data:`DETECTORS`.

    Args:
        settings: as :func:`dashboard.services.jobs.detection_settings.check` leaves them.
        folder: where the files go.
        progress: told after every batch.
        context: attacked images and class paths are kept in the server's cache, so that a stopped study resumes.

    Raises:
        EngineError: if the classifier cannot be used, has other weights, or there is nothing to fit or judge.
    """
    torch.set_num_threads(context.threads)
    loaded = Classifiers(context.server).get(settings["model"])
    classifier = loaded.classifier
    if settings.get("weights", classifier.key) != classifier.key:
        raise InvalidInputError(f"The model {classifier.label} has changed since this was asked for; ask for it anew.")
    form, errors = read_study_form({name: str(value) for name, value in settings.items()})
    if errors:  # it was asked for by another version, or with an optional package that is gone
        raise InvalidInputError(next(iter(errors.values())))
    cache = context.server.data_dir / CACHE

    def class_paths(theta: float, report: Progress) -> ClassPaths:
        file = class_paths_file(cache, classifier.key, loaded.dataset.key, theta)
        return class_paths_once(
            classifier.module, loaded.dataset.train, classifier.classes, file=file, theta=theta,
            cluster=context.server.dask, progress=report,
        )  # fmt: skip

    paths = class_paths(settings["theta"], span(progress, 0.0, 0.2))
    swept = 0.3 if form.sweeps else 0.0
    found = detect(
        classifier, loaded.dataset, paths, _asked(form, settings["seed"]), folder=cache / "attacks",
        progress=span(progress, 0.2, 0.99 - swept),
    )  # fmt: skip

    def paths_at(theta: float, report: Progress = silent) -> ClassPaths:
        return paths if theta == paths.theta else class_paths(theta, report)

    sweeps = run_sweeps(found, classifier, form.sweeps, paths_at, progress=span(progress, 0.99 - swept, 0.99))
    write_report(folder / STUDY, found, classifier, sweeps)
    _save_detectors(folder / DETECTORS, found, loaded)
    return _summary(found)


def plans_of(form: StudyForm) -> tuple[Plan, ...]:
    """The attacks of a study, under the names that its tables have."""
    labels = attack_choices()
    return tuple(
        Plan(
            labels[field_text("attacks", ((name, preset),))],
            name,
            attacks[name].facts["presets"][preset] if preset else {},
        )
        for name, preset in form.attacks
    )


def _asked(form: StudyForm, seed: int) -> DetectionSettings:
    return DetectionSettings(
        plans=plans_of(form),
        detectors=form.detectors,
        cdrp=ON_GATES if "cdrp" in form.baselines else (),
        attention=AttentionSettings(seed=seed) if "attention" in form.baselines else None,
        adaptive=AdaptiveSettings(epsilon=form.budget),
        n_images=form.images,
        part="weights" if form.part == "weights" else "synapses",
        last_layers=form.layers or None,
        train_share=form.share,
        seed=seed,
    )


def _save_detectors(folder: Path, found: Detection, loaded: LoadedClassifier) -> None:
    for name in found.settings.detectors:
        card = card_of(name, found, loaded.classifier, loaded.dataset)
        save_detector(folder / name, found.evaluations[name].detector, card)


def _summary(found: Detection) -> Mapping[str, Any]:
    """What the list of jobs says: the number of images, and each path detector's mean area under the ROC curve."""
    evaluations = {name: found.evaluations[name] for name in found.settings.detectors}
    aucs = {name: [each.auc for each in one.separations.values()] for name, one in evaluations.items()}
    return {
        "images": len(found.study.indices),
        "mean AUC": {name: round(float(np.mean(values)), 4) for name, values in aucs.items() if values},
    }
