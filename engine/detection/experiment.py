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
from engine.detection.attention import AttentionDetector, new_networks, train_attention
from engine.detection.catalogue import detectors
from engine.detection.cdrp import gate_features
from engine.detection.contrast import Contrast, MaskClasses, contrast
from engine.detection.features import path_features
from engine.detection.metrics import separation
from engine.detection.outcome import ATTENTION, Detection, DetectionSettings
from engine.detection.protocol import Evaluation, Samples, evaluate, scores_of
from engine.detection.study import Study, StudyFeatures, run_study, study_features
from engine.detection.sweeps import SweepPoint, features_of, run_sweep
from engine.network.classifiers import Classifier
from engine.paths.aggregation import ClassPaths
from engine.progress import Progress, silent, span

Floats = npt.NDArray[np.float64]
#: Gives the scores of several methods, by name, for the images that a knowing attack made.
Scoring = Callable[[AdaptiveImages], dict[str, Floats]]


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
    _rehearse(classifier, data, settings)
    study = run_study(
        classifier.module, data.test, settings.plans, n_images=settings.n_images, seed=settings.seed, folder=folder,
        progress=span(progress, 0.0, 0.5),
    )  # fmt: skip
    experiment = _Experiment(classifier, data, class_paths, settings, study)
    experiment.fit_paths(span(progress, 0.5, 0.6))
    if settings.cdrp:
        experiment.fit_gates(span(progress, 0.6, 0.7))
    if settings.attention is not None:
        experiment.fit_attention(span(progress, 0.7, 0.9))
    experiment.face_adaptive_attack(span(progress, 0.9, 1.0))
    progress(1.0, "done")
    return experiment.outcome()


class _Experiment:
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
        self.scoring: list[Scoring] = []
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
        self._fit(settings.detectors, settings.detectors, features.normal, features.attacked, values)

    def fit_gates(self, progress: Progress) -> None:
        started = time.perf_counter()
        normal, attacked = _gates(self.model, self.study, progress)
        self.seconds["cdrp"] = time.perf_counter() - started
        methods = tuple(f"cdrp + {name}" for name in self.settings.cdrp)
        self._fit(methods, self.settings.cdrp, normal, attacked, lambda found: _gates_of(self.model, found.images))

    def fit_attention(self, progress: Progress) -> None:
        """Latent attention needs no attacked image to learn from; it is judged on the same images as the others."""
        assert self.settings.attention is not None
        detector = train_attention(
            self.model, self.data.train, len(self.data.classes), self.settings.attention, progress=progress
        )
        judged = self._judged()
        self.evaluations[ATTENTION] = _judge_attention(detector, self.study, judged, self.settings.seed)
        self.contrasts = _contrasts(detector, self.study, judged)
        self.scoring.append(lambda found: {ATTENTION: detector.scores(found.images, found.predictions)})

    def face_adaptive_attack(self, progress: Progress) -> None:
        found = adaptive_images(
            self.model, self.data, self.study, self._judged(), self.settings.adaptive, progress=progress
        )
        for scoring in self.scoring:
            for name, scores in (scoring(found) if len(found.images) else {}).items():
                self.adaptive[name] = outcome_of(self.evaluations[name], found, scores)
        for name in self.evaluations.keys() - self.adaptive.keys():
            self.adaptive[name] = outcome_of(self.evaluations[name], found, np.empty(0))

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
        self, methods: tuple[str, ...], names: tuple[str, ...], normal: Samples, attacked: Mapping[str, Samples],
        values: Callable[[AdaptiveImages], Floats],
    ) -> None:  # fmt: skip
        """Fits detectors on features; ``values`` gives those of further images."""
        settings, fitted = self.settings, {}
        for method, name in zip(methods, names, strict=True):
            fitted[method] = make_detector(name, settings.seed)
            self.evaluations[method] = evaluate(
                fitted[method], normal, attacked, train_share=settings.train_share, seed=settings.seed
            )

        def scoring(found: AdaptiveImages) -> dict[str, Floats]:
            there = values(found)
            return {method: scores_of(detector, there) for method, detector in fitted.items()}

        self.scoring.append(scoring)


def _rehearse(classifier: Classifier, data: Dataset, settings: DetectionSettings) -> None:
    """Lets a baseline that cannot be measured here say so before the attacks are run.

    Raises:
        InvalidInputError: for a model without convolutions, or images that are too small.
    """
    if settings.cdrp:
        gate_features(classifier.module, data.test.images([0]), steps=1)
    if settings.attention is not None:
        new_networks(data.image_shape, len(data.classes), settings.attention)


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
    features_at = features_of(
        classifier.module, found.study, class_paths, last_layers=settings.last_layers,
        known={(found.theta, settings.part): found.features},
    )  # fmt: skip
    for number, (kind, name) in enumerate(pairs):
        report = span(progress, number / steps, (number + 1) / steps)
        report(0.0, f"varying {kind}")
        points[kind][name] = run_sweep(
            kind, partial(make_detector, name, settings.seed), found.study, features_at, theta=found.theta,
            part=settings.part, train_share=settings.train_share, seed=settings.seed, progress=report,
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
