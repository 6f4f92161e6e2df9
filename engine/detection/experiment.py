"""Runs a detection study: attack test images, look at their paths, fit detectors, judge them beside the baselines."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import ClassifierMixin
from torch import nn

from engine.datasets.dataset import Dataset
from engine.detection.adaptive_evaluation import AdaptiveImages, AdaptiveOutcome, adaptive_images, outcome_of
from engine.detection.attention import AttentionDetector, train_attention
from engine.detection.catalogue import detectors
from engine.detection.cdrp import gate_features
from engine.detection.contrast import Contrast, MaskClasses, contrast
from engine.detection.features import path_features
from engine.detection.laboratory import ATTENTION, Detection, DetectionSettings
from engine.detection.metrics import separation
from engine.detection.protocol import Evaluation, Samples, evaluate, scores_of
from engine.detection.study import Study, StudyFeatures, run_study, study_features
from engine.detection.sweeps import SweepPoint, run_sweep
from engine.network.classifiers import Classifier
from engine.paths.aggregation import ClassPaths
from engine.progress import Progress, silent, span

Floats = npt.NDArray[np.float64]


def detect(
    classifier: Classifier,
    data: Dataset,
    class_paths: ClassPaths,
    settings: DetectionSettings,
    *,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Detection:
    """Runs the experiment.

    Args:
        classifier: whose paths are looked at.
        data: its data set.
        class_paths: of its training images; they fix θ.
        settings: what is done.
        folder: where attacked images are kept for the next experiment; None keeps nothing.
        progress: may raise Cancelled.

    Raises:
        InvalidInputError: if the model has a warning, or a setting is out of range.
    """
    classifier.require_sound()
    model, plans = classifier.module, settings.plans
    study = run_study(
        model, data.test, plans, n_images=settings.n_images, seed=settings.seed, folder=folder,
        progress=span(progress, 0.0, 0.5),
    )  # fmt: skip
    laboratory = _Laboratory(classifier, data, class_paths, settings, study)
    laboratory.fit_paths(span(progress, 0.5, 0.6))
    if settings.cdrp:
        laboratory.fit_gates(span(progress, 0.6, 0.7))
    if settings.attention is not None:
        laboratory.fit_attention(span(progress, 0.7, 0.9))
    laboratory.face_adaptive_attack(span(progress, 0.9, 1.0))
    progress(1.0, "done")
    return laboratory.outcome()


class _Laboratory:
    """The steps of the experiment, in the order in which they are called."""

    def __init__(
        self, classifier: Classifier, data: Dataset, class_paths: ClassPaths, settings: DetectionSettings, study: Study
    ) -> None:
        self.model = classifier.module
        self.data = data
        self.class_paths = class_paths
        self.settings = settings
        self.study = study
        self.features: StudyFeatures | None = None
        self.evaluations: dict[str, Evaluation] = {}
        self.scoring: dict[str, Callable[[AdaptiveImages], Floats]] = {}
        self.adaptive: dict[str, AdaptiveOutcome] = {}
        self.contrasts: dict[str, tuple[Contrast, Contrast]] = {}
        self.seconds: dict[str, float] = {}

    def fit_paths(self, progress: Progress) -> None:
        started, settings = time.perf_counter(), self.settings
        features = study_features(
            self.model, self.study, self.class_paths, part=settings.part, last_layers=settings.last_layers,
            progress=progress,
        )  # fmt: skip
        self.seconds["path features"] = time.perf_counter() - started

        def values(found: AdaptiveImages) -> Floats:
            return path_features(
                self.model, found.images, self.class_paths, part=settings.part, last_layers=settings.last_layers
            ).values

        self.features = features
        self._fit(settings.detectors, "", features.normal, features.attacked, values)

    def fit_gates(self, progress: Progress) -> None:
        started = time.perf_counter()
        normal, attacked = _gates(self.model, self.study, progress)
        self.seconds["cdrp"] = time.perf_counter() - started
        self._fit(self.settings.cdrp, "cdrp + ", normal, attacked, lambda found: _gates_of(self.model, found.images))

    def fit_attention(self, progress: Progress) -> None:
        """Latent attention needs no attacked image to learn from; it is judged on the same images as the others."""
        assert self.settings.attention is not None
        detector = train_attention(
            self.model, self.data.train, len(self.data.classes), self.settings.attention, progress=progress
        )
        judged = self._judged()
        self.evaluations[ATTENTION] = _judge_attention(detector, self.study, judged, self.settings.seed)
        self.contrasts = _contrasts(detector, self.study, judged)
        self.scoring[ATTENTION] = lambda found: detector.scores(found.images, found.predictions)

    def face_adaptive_attack(self, progress: Progress) -> None:
        found = adaptive_images(
            self.model, self.data, self.study, self._judged(), self.settings.adaptive, progress=progress
        )
        for name, evaluation in self.evaluations.items():
            self.adaptive[name] = outcome_of(evaluation, found, self.scoring[name])

    def outcome(self) -> Detection:
        assert self.features is not None
        return Detection(
            self.settings, self.study, self.features, self.evaluations, self.adaptive, self.contrasts,
            self.seconds, self.class_paths.theta,
        )  # fmt: skip

    def _judged(self) -> npt.NDArray[np.int64]:
        """The test images that no detector was fitted on."""
        first = next(iter(self.evaluations.values()), None)
        return self.study.indices if first is None else first.test_sources

    def _fit(
        self, names: tuple[str, ...], prefix: str, normal: Samples, attacked: Mapping[str, Samples],
        values: Callable[[AdaptiveImages], Floats],
    ) -> None:  # fmt: skip
        settings = self.settings
        for name in names:
            detector = make_detector(name, settings.seed)
            self.evaluations[prefix + name] = evaluate(
                detector, normal, attacked, train_share=settings.train_share, seed=settings.seed
            )
            self.scoring[prefix + name] = _scoring(detector, values)


def _scoring(
    detector: ClassifierMixin, values: Callable[[AdaptiveImages], Floats]
) -> Callable[[AdaptiveImages], Floats]:
    return lambda found: scores_of(detector, values(found))


def run_sweeps(
    found: Detection,
    classifier: Classifier,
    kinds: Sequence[str],
    class_paths: Callable[[float, Progress], ClassPaths],
    *,
    progress: Progress = silent,
) -> dict[str, dict[str, list[SweepPoint]]]:
    """Sweeps over the images of a study, for each of its path detectors.

    Args:
        found: the study.
        classifier: its classifier.
        kinds: names in :data:`engine.detection.sweeps.SWEEPS`.
        class_paths: gives the class paths at a θ.
        progress: may raise Cancelled.

    Returns:
        by kind and detector, the points.
    """
    settings, steps = found.settings, len(kinds) * len(found.settings.detectors)
    pairs = [(kind, name) for kind in kinds for name in settings.detectors]
    points: dict[str, dict[str, list[SweepPoint]]] = {kind: {} for kind in kinds}
    for number, (kind, name) in enumerate(pairs):
        report = span(progress, number / steps, (number + 1) / steps)
        report(0.0, f"varying {kind}")
        points[kind][name] = run_sweep(
            kind, partial(make_detector, name, settings.seed), classifier.module, found.study, found.features,
            class_paths, theta=found.theta, train_share=settings.train_share, seed=settings.seed, progress=report,
        )  # fmt: skip
    return points


def make_detector(name: str, seed: int) -> ClassifierMixin:
    """An unfitted detector of the catalogue; its random choices, if it makes any, have the seed."""
    seeded = any(parameter.name == "seed" for parameter in detectors[name].parameters)
    return detectors[name].create(**({"seed": seed} if seeded else {}))


def _gates(model: nn.Module, study: Study, progress: Progress) -> tuple[Samples, dict[str, Samples]]:
    steps = len(study.results) + 1
    normal = _gates_of(model, study.images, span(progress, 0.0, 1 / steps))
    attacked = {}
    for number, name in enumerate(study.results):
        images, sources = study.successes(name)
        report = span(progress, (number + 1) / steps, (number + 2) / steps)
        values = _gates_of(model, images, report) if len(images) else np.empty((0, normal.shape[1]))
        attacked[name] = Samples(values, sources)
    return Samples(normal, study.indices), attacked


def _gates_of(model: nn.Module, images: torch.Tensor, progress: Progress = silent) -> Floats:
    return gate_features(model, images, progress=progress).astype(np.float64)


def _judge_attention(detector: AttentionDetector, study: Study, judged: npt.NDArray[np.int64], seed: int) -> Evaluation:
    normal = Samples(detector.scores(study.images, study.labels)[:, np.newaxis], study.indices).of(judged)
    scores, sources, separations = {}, {}, {}
    for name, result in study.results.items():
        images, origins = study.successes(name)
        if not len(images):
            continue
        values = detector.scores(images, result.predictions_after[result.success])
        there = Samples(values[:, np.newaxis], origins).of(judged)
        if not len(there.sources):
            continue
        scores[name], sources[name] = there.values[:, 0], there.sources
        separations[name] = separation(normal.values[:, 0], scores[name], normal.sources, there.sources, seed)
    nothing = np.empty(0, np.int64)
    return Evaluation(
        detector, separations, nothing, judged, normal.values[:, 0], normal.sources, scores, sources, (), seed
    )


def _contrasts(
    detector: AttentionDetector, study: Study, judged: npt.NDArray[np.int64]
) -> dict[str, tuple[Contrast, Contrast]]:
    """By attack, over the images that judge and over those whose clean mask is classified correctly."""
    rows = np.flatnonzero(np.isin(study.indices, judged))
    normal = MaskClasses(study.labels[rows], detector.mask_classes(study.images[rows]))
    found = {}
    for name, result in study.results.items():
        won = np.flatnonzero(result.success[rows])
        images = torch.from_numpy(result.adversarial[rows[won]])
        masks = detector.mask_classes(images) if len(won) else np.empty(0, np.int64)
        found[name] = contrast(normal, MaskClasses(result.predictions_after[rows[won]], masks), won)
    return found
