"""How detectors fare against an attack that knows them: a detector is never judged without it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.datasets.dataset import Dataset
from engine.detection.adaptive import AdaptiveAttack, guides_from
from engine.detection.protocol import Evaluation
from engine.detection.study import Study
from engine.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class AdaptiveSettings:
    """The attack that knows the detectors.

    Attributes:
        epsilon: L∞ radius.
        steps: of projected gradient descent.
        images: how many of the images that no detector was fitted on are attacked.
    """

    epsilon: float = 0.2
    steps: int = 100
    images: int = 100


@dataclass(frozen=True, slots=True, eq=False)
class AdaptiveImages:
    """The images it made; ``images`` and ``predictions`` are of those that mislead the classifier.

    Attributes:
        settings: of the attack.
        attacked: how many images it was given.
        images: (M, C, H, W) float32 in [0, 1].
        predictions: (M,) what the classifier calls them.
    """

    settings: AdaptiveSettings
    attacked: int
    images: torch.Tensor
    predictions: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AdaptiveOutcome:
    """How one detector fares.

    Attributes:
        epsilon, steps: of the attack.
        images: how many were attacked.
        misled: of these, how many mislead the classifier.
        missed: of those, how many the detector does not flag at its threshold.
    """

    epsilon: float
    steps: int
    images: int
    misled: int
    missed: int

    @property
    def rate(self) -> float:
        """Share of the attacked images that get past classifier and detector, in [0, 1]."""
        return self.missed / self.images if self.images else float("nan")


def adaptive_images(
    model: nn.Module,
    data: Dataset,
    study: Study,
    judged: npt.NDArray[np.int64],
    settings: AdaptiveSettings,
    *,
    progress: Progress = silent,
) -> AdaptiveImages:
    """Attacks images that no detector was fitted on, each pulled towards a clean training image of another class.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits.
        data: its data set.
        study: whose images are attacked.
        judged: places in the test split of the images that no detector was fitted on.
        settings: of the attack.
        progress: may raise Cancelled.
    """
    rows = np.flatnonzero(np.isin(study.indices, judged))[: settings.images]
    attack = AdaptiveAttack(
        epsilon=settings.epsilon, steps=settings.steps, guides=guides_from(model, data.train, len(data.classes))
    )
    result = attack(model, study.images[rows], study.labels[rows], seed=study.seed, progress=progress)
    won = result.success
    return AdaptiveImages(settings, len(rows), torch.from_numpy(result.adversarial[won]), result.predictions_after[won])


def outcome_of(evaluation: Evaluation, found: AdaptiveImages, scores: npt.NDArray[np.float64]) -> AdaptiveOutcome:
    """How a detector does on the images of :func:`adaptive_images`.

    Args:
        evaluation: of the detector; its threshold flags 5 % of the normal images.
        found: the images.
        scores: (M,) the detector's scores of them.
    """
    missed = int((scores <= evaluation.threshold).sum())
    settings = found.settings
    return AdaptiveOutcome(settings.epsilon, settings.steps, found.attacked, len(found.images), missed)
