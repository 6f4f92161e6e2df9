"""The images of a detection study: normal test images and what each attack made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.attacks.base import AttackResult
from engine.attacks.catalogue import attacks
from engine.attacks.pairs import correctly_classified
from engine.attacks.results import attack_once
from engine.datasets.dataset import ImageSet
from engine.detection.features import PathFeatures, path_features
from engine.detection.protocol import Samples
from engine.errors import InvalidInputError
from engine.paths.aggregation import ClassPaths
from engine.paths.path import Part
from engine.progress import Progress, silent, span
from engine.registry import Value


@dataclass(frozen=True, slots=True)
class Plan:
    """One attack of a study.

    Attributes:
        name: key of the attack in tables; unique in a study.
        attack: name in the attack catalogue.
        settings: of the attack; those not given take their defaults.
    """

    name: str
    attack: str
    settings: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """Normal images and their attacked copies.

    Attributes:
        images: (N, C, H, W) float32 in [0, 1], all classified correctly.
        labels: (N,) their classes.
        indices: (N,) their places in the test split, ascending.
        results: by plan's name, the attack on all N images.
        seed: of the attacks.
    """

    images: torch.Tensor
    labels: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    results: Mapping[str, AttackResult]
    seed: int

    def successes(self, name: str) -> tuple[torch.Tensor, npt.NDArray[np.int64]]:
        """The adversarial images of a plan that succeeded, and the test images they were made from."""
        result = self.results[name]
        return torch.from_numpy(result.adversarial[result.success]), self.indices[result.success]


@dataclass(frozen=True, slots=True, eq=False)
class StudyFeatures:
    """What a detector sees of a study.

    Attributes:
        normal: the normal images.
        attacked: by plan's name, the successful adversarial images.
        names: of the columns.
    """

    normal: Samples
    attacked: Mapping[str, Samples]
    names: tuple[str, ...]


def run_study(
    model: nn.Module,
    test: ImageSet,
    plans: Sequence[Plan],
    *,
    n_images: int = 1000,
    seed: int = 0,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Study:
    """Attacks the first correctly classified test images by every plan.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits.
        test: the test split.
        plans: the attacks.
        n_images: how many images.
        seed: of the attacks.
        folder: where attacked images are kept, so that the next study finds them; None keeps nothing.
        progress: may raise Cancelled; what is finished by then is kept.

    Raises:
        InvalidInputError: if no image is classified correctly, two plans share a name, or a setting is wrong.
    """
    if len({plan.name for plan in plans}) != len(plans) or not plans:
        raise InvalidInputError("plans: expected one or more attacks, each under a name of its own.")
    methods = [attacks[plan.attack].create(**plan.settings) for plan in plans]
    indices = correctly_classified(model, test, n_images)
    if not len(indices):
        raise InvalidInputError("expected a model that classifies some test images correctly; it gets none right.")
    images, labels = test.images(indices), test.labels[indices]
    results = {}
    for number, (plan, method) in enumerate(zip(plans, methods, strict=True)):
        report = span(progress, number / len(plans), (number + 1) / len(plans))
        results[plan.name] = attack_once(method, model, images, labels, folder=folder, seed=seed, progress=report)
    return Study(images, labels, indices, results, seed)


def study_features(
    model: nn.Module,
    study: Study,
    class_paths: ClassPaths,
    *,
    part: Part = "synapses",
    last_layers: int | None = None,
    progress: Progress = silent,
) -> StudyFeatures:
    """The path features of all images of a study."""
    steps = len(study.results) + 1

    def of(number: int, images: torch.Tensor) -> PathFeatures:
        report = span(progress, number / steps, (number + 1) / steps)
        return path_features(model, images, class_paths, part=part, last_layers=last_layers, progress=report)

    normal = of(0, study.images)
    attacked = {}
    for number, name in enumerate(study.results):
        images, sources = study.successes(name)
        values = of(number + 1, images).values if len(images) else np.empty((0, normal.values.shape[1]))
        attacked[name] = Samples(values, sources)
    return StudyFeatures(Samples(normal.values, study.indices), attacked, normal.names)
