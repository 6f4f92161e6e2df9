"""Unrecognisable images: noise in the place of the image, as it is or driven until the model is sure of a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from engine.attacks.balls import L2Ball, LinfBall
from engine.attacks.base import Attack
from engine.attacks.gradients import ascent_gradient
from engine.attacks.logits import Logits
from engine.errors import InvalidInputError
from engine.progress import Progress
from engine.registry import Parameter


@dataclass(frozen=True)
class Unrecognisable(Attack):
    """Noise that shows nothing, yet has a class. Nguyen, Yosinski & Clune 2015.

    "uniform": each element uniform in [0, 1], whatever the image. A model is seldom sure of such noise. "driven": the
    same noise, led by gradient ascent on log P(class | x) until the model gives the class at least ``confidence``: the
    target, or without targets a random class other than the label. One that never gets there is returned where it was
    surest. The original image plays no part; the norms say how far the noise is from it.

    Deviations: the paper evolves its noise and climbs the gradient from the mean image, with an L2 penalty; here the
    climb starts at noise, has steps of one L2 length and no penalty.
    """

    name: ClassVar[str] = "unrecognisable"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "kind",
            "Noise",
            "choice",
            "driven",
            choices=("uniform", "driven"),
            help="Plain uniform noise, or noise driven until the model is sure of a class; only this takes a target.",
        ),
        Parameter(
            "confidence",
            "Confidence",
            "float",
            0.99,
            low=0.5,
            high=0.9999,
            help="Probability of the class at which driven noise stops.",
        ),
        Parameter("steps", "Steps", "int", 500, low=1, high=10_000, help="Largest number of steps of driven noise."),
        Parameter(
            "step_size",
            "Step size",
            "float",
            0.1,
            low=1e-3,
            high=10.0,
            unit="L2",
            help="Euclidean length of a step of driven noise, with pixel values from 0 to 1.",
        ),
    )

    kind: Literal["uniform", "driven"] = "driven"
    confidence: float = 0.99
    steps: int = 500
    step_size: float = 0.1

    def perturb(
        self,
        model: Logits,
        images: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        generator: torch.Generator,
        progress: Progress,
    ) -> Tensor:
        """The noise."""
        if self.kind == "uniform" and targets is not None:
            raise InvalidInputError(
                "targets: expected none, uniform noise cannot be led to a class. Choose driven noise, or no targets."
            )
        progress(0.0, "drawing noise")
        classes = model(images[:1]).shape[1]
        wanted, noise = [], []
        for label in labels.tolist():  # drawn in turns, so that the stream does not depend on the batches
            step = int(torch.randint(1, classes, (), generator=generator))
            wanted.append((label + step) % classes)
            noise.append(LinfBall().draw(images[:1], generator) / 2 + 0.5)
        start = torch.cat(noise)
        if self.kind == "uniform":
            return start
        goal = torch.tensor(wanted, device=images.device) if targets is None else targets
        return self._driven(model, start, goal, progress)

    def _driven(self, model: Logits, points: Tensor, goal: Tensor, progress: Progress) -> Tensor:
        best, highest = points.clone(), torch.full((len(points),), -1.0, device=points.device)
        left = torch.arange(len(points), device=points.device)
        for step in range(self.steps + 1):
            sureness = model(points).softmax(dim=1).gather(1, goal[left, None]).squeeze(1)
            better = sureness > highest[left]
            best[left[better]], highest[left[better]] = points[better], sureness[better]
            unsure = sureness < self.confidence
            left, points = left[unsure], points[unsure]
            if step == self.steps or not len(left):
                break
            progress(step / self.steps, f"step {step + 1} of {self.steps}, {len(left)} images not yet sure")
            # Targeted: the objective is the log probability of the goal; the labels play no part.
            gradient = ascent_gradient(model, points, goal[left], goal[left], "cross_entropy")
            points = (points + self.step_size * L2Ball().steepest(gradient)).clamp(0.0, 1.0)
        return best
