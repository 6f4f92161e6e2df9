"""Projected gradient ascent in a norm ball, which BIM and both PGD attacks are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from engine.attacks.balls import Ball
from engine.attacks.bounded import BoundedAttack
from engine.attacks.gradients import ascent_gradient
from engine.attacks.logits import Logits
from engine.progress import Progress
from engine.registry import Parameter

RANDOM_START = Parameter(
    "random_start",
    "Random start",
    "bool",
    True,
    help="Start from a random point of the ball instead of the image itself.",
)


def steps_parameter(default: int) -> Parameter:
    """How many gradient steps are taken."""
    return Parameter("steps", "Steps", "int", default, low=1, high=10_000, help="Number of gradient steps.")


def relative_step_parameter(default: float) -> Parameter:
    """The length of a step as a share of ε."""
    return Parameter(
        "relative_step",
        "Step size α/ε",
        "float",
        default,
        low=1e-4,
        high=2.0,
        unit="of ε",
        help="Length of one step as a share of ε; below 1/steps the edge of the ball cannot be reached.",
    )


@dataclass(frozen=True)
class IterativeAttack(BoundedAttack):
    """Steps of α = relative_step·ε along the steepest direction, each projected onto the ball and clipped to [0, 1].

    x_{t+1} = clip(x + P_ε(x_t + α·d(∇L(x_t)) − x)), Madry et al. 2018, section 2.1; the last point is returned.
    """

    ball: ClassVar[Ball]

    steps: int = 10
    relative_step: float = 0.1

    def prepare(
        self, model: Logits, images: Tensor, labels: Tensor, targets: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """The start relative to the image, in units of ε: zero."""
        return torch.zeros_like(images)

    def accumulate(self, past: Tensor, gradient: Tensor) -> Tensor:
        """What a step follows, from what the last one followed (at first zero) and the new gradient: the gradient."""
        return gradient

    def perturb_within(
        self,
        epsilon: float | Tensor,
        model: Logits,
        images: Tensor,
        prepared: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        progress: Progress,
    ) -> Tensor:
        """The last point of the ascent; the radius is one number, or (N, 1, 1, 1)."""
        point = (images + epsilon * prepared).clamp(0.0, 1.0)
        followed = torch.zeros_like(images)
        for step in range(self.steps):
            progress(step / self.steps, f"step {step + 1} of {self.steps}")
            gradient = ascent_gradient(model, point, labels, targets, self.loss)
            followed = self.accumulate(followed, gradient)
            moved = point + self.relative_step * epsilon * self.ball.steepest(followed)
            point = (images + self.ball.project(moved - images, epsilon)).clamp(0.0, 1.0)
        return point


@dataclass(frozen=True)
class RandomStartAttack(IterativeAttack):
    """The same ascent from a random point of the ball, which is what PGD adds to BIM."""

    random_start: bool = True

    def prepare(
        self, model: Logits, images: Tensor, labels: Tensor, targets: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """A point per image, uniform in the unit ball; zero without random start."""
        return self.ball.draw(images, generator) if self.random_start else torch.zeros_like(images)
