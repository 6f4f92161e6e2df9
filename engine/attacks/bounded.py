"""Attacks that stay within a norm ball of a given radius, or search the smallest radius that works."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from engine.attacks.base import Attack
from engine.attacks.gradients import Loss
from engine.attacks.inputs import Inputs
from engine.attacks.logits import Logits
from engine.attacks.search import smallest_epsilon
from engine.progress import Progress
from engine.registry import Parameter

LINF_EPSILON = Parameter(
    "epsilon",
    "Strength ε",
    "float",
    0.1,
    low=0.0,
    high=1.0,
    unit="of full scale",
    help="Largest change of any pixel value, where black is 0 and white is 1. Not used when searching.",
)
L2_EPSILON = Parameter(
    "epsilon",
    "Strength ε",
    "float",
    1.5,
    low=0.0,
    high=20.0,
    unit="L2",
    help="Largest Euclidean length of the change, with pixel values from 0 to 1. Not used when searching.",
)
LOSS = Parameter(
    "loss",
    "Loss",
    "choice",
    "cross_entropy",
    choices=("cross_entropy", "margin"),
    help="Cross entropy is the papers' choice; its gradient vanishes where the model is very sure, the margin's not.",
)
SEARCH = Parameter(
    "search",
    "Search the smallest ε",
    "bool",
    False,
    help="Try growing strengths and keep, for each image, the first that works; slower.",
)


def search_steps(default: int) -> Parameter:
    """How many radii a search tries."""
    return Parameter(
        "search_steps",
        "Search steps",
        "int",
        default,
        low=1,
        high=10_000,
        help="Number of equally spaced strengths tried, up to the largest one. Used only when searching.",
    )


@dataclass(frozen=True)
class BoundedAttack(Attack):
    """An attack with a radius ε.

    What does not depend on ε (a gradient at the original image, a random start) is computed once by :meth:`prepare`, so
    that a search varies nothing but the radius.

    Attributes:
        largest_epsilon: the last radius a search tries.
    """

    largest_epsilon: ClassVar[float] = 1.0

    epsilon: float = 0.1
    loss: Loss = "cross_entropy"
    search: bool = False
    search_steps: int = 100

    @abstractmethod
    def prepare(
        self, model: Logits, images: Tensor, labels: Tensor, targets: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """What the attack needs that is the same for every ε, as one tensor (N, C, H, W)."""

    @abstractmethod
    def perturb_within(
        self,
        epsilon: float,
        model: Logits,
        images: Tensor,
        prepared: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        progress: Progress,
    ) -> Tensor:
        """The attacked copies (N, C, H, W) in [0, 1], within ``epsilon`` of the images."""

    def perturb(
        self,
        model: Logits,
        images: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        generator: torch.Generator,
        progress: Progress,
    ) -> Tensor:
        """The attacked copies at the radius that was set."""
        prepared = self.prepare(model, images, labels, targets, generator)
        return self.perturb_within(self.epsilon, model, images, prepared, labels, targets, progress)

    def perturb_batch(
        self, model: Logits, batch: Inputs, scored: Tensor, generator: torch.Generator, progress: Progress
    ) -> tuple[Tensor, Tensor]:
        """The attacked copies and radii, by search if that is set."""
        if not self.search:
            attacked = self.perturb(model, batch.images, batch.labels, batch.targets, generator, progress)
            return attacked, torch.full((len(attacked),), self.epsilon, dtype=torch.float64)
        prepared = self.prepare(model, batch.images, batch.labels, batch.targets, generator)

        def trial(epsilon: float, rows: Tensor, report: Progress) -> Tensor:
            targets = None if batch.targets is None else batch.targets[rows]
            images, labels = batch.images[rows], batch.labels[rows]
            return self.perturb_within(epsilon, model, images, prepared[rows], labels, targets, report)

        grid = [self.largest_epsilon * level / self.search_steps for level in range(1, self.search_steps + 1)]
        return smallest_epsilon(trial, grid, model, batch, scored, progress)
