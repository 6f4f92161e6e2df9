"""SPSA: gradient ascent with a gradient estimated from finite differences along random signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from engine.attacks.adam import Adam
from engine.attacks.balls import LinfBall
from engine.attacks.black_box import (
    BlackBoxAttack,
    Climb,
    Margin,
    learning_rate_parameter,
    parts_of,
    query_steps_parameter,
)
from engine.attacks.bounded import LINF_EPSILON
from engine.registry import Parameter, Value

DIRECTIONS = Parameter(
    "directions",
    "Directions",
    "int",
    512,
    low=1,
    high=10_000,
    help="Random directions per step; each costs two queries, and more make the estimate less noisy.",
)
DELTA = Parameter(
    "delta",
    "Probe length δ",
    "float",
    0.01,
    low=1e-4,
    high=0.5,
    unit="of full scale",
    help="How far the two queries of a direction lie from the point.",
)

#: Settings that suit the images of a data set: for CIFAR-10 those of Zhang et al. 2020; for MNIST the radius of Madry
#: et al. 2018 with fewer directions and longer steps, which break as many digits with a seventh of the queries.
SPSA_PRESETS: dict[str, dict[str, Value]] = {
    "mnist": {"epsilon": 0.3, "steps": 100, "directions": 128, "learning_rate": 0.03, "delta": 0.01},
    "cifar10": {"epsilon": 8 / 255, "steps": 100, "directions": 512, "learning_rate": 0.01, "delta": 0.01},
}


@dataclass(frozen=True)
class SPSA(BlackBoxAttack):
    """Uesato et al. 2018, section 4 and algorithm 1: simultaneous perturbation stochastic approximation in the L∞ ball.

    ĝ = 1/n Σᵢ (f(x + δvᵢ) − f(x − δvᵢ)) / (2δ) · vᵢ with vᵢ uniform in {−1, 1}ᵈ and f the margin, followed by a step of
    Adam and the projection onto the ball and [0, 1]. As in the authors' code the start is uniform in the ball, and the
    two queries of a direction may leave it and [0, 1] by δ. Settings by default as in Zhang et al. 2020 (n = 512, η =
    0.01, 100 steps), apart from ε.
    """

    name: ClassVar[str] = "spsa"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        LINF_EPSILON,
        query_steps_parameter(100),
        DIRECTIONS,
        learning_rate_parameter(0.01),
        DELTA,
    )

    directions: int = 512
    delta: float = 0.01

    def start(self, images: Tensor, streams: Sequence[torch.Generator]) -> Tensor:
        """A change uniform in the ball."""
        drawn = [torch.rand(images.shape[1:], generator=stream) * 2 - 1 for stream in streams]
        return self.feasible(images, self.epsilon * torch.stack(drawn).to(images))

    def place(self, images: Tensor, unknowns: Tensor) -> Tensor:
        """The image plus the change."""
        return (images + unknowns).clamp(0.0, 1.0)

    def feasible(self, images: Tensor, unknowns: Tensor) -> Tensor:
        """The change cut to the ball and to what keeps the image in [0, 1]."""
        return (images + LinfBall().project(unknowns, self.epsilon)).clamp(0.0, 1.0) - images

    def climb(self, unknowns: Tensor) -> Climb:
        """A step of Adam."""
        return Adam(unknowns, self.learning_rate).change

    def queries(self) -> int:
        """Two for each direction."""
        return 2 * self.directions

    def estimate(self, margin: Margin, images: Tensor, unknowns: Tensor, streams: Sequence[torch.Generator]) -> Tensor:
        """The mean over the directions of the difference quotient times the direction."""
        total, centre = torch.zeros_like(unknowns), (images + unknowns)[:, None]
        for count in parts_of(self.directions, images, queries_each=2):
            signs = _signs(streams, count, unknowns)
            both = margin(torch.cat([centre + self.delta * signs, centre - self.delta * signs], dim=1))
            rise = both[:, :count] - both[:, count:]
            total += torch.einsum("nk,nkchw->nchw", rise, signs)
        return total / (2 * self.delta * self.directions)


def _signs(streams: Sequence[torch.Generator], count: int, like: Tensor) -> Tensor:
    shape = (count, *like.shape[1:])
    drawn = [torch.randint(2, shape, generator=stream, dtype=torch.int8) for stream in streams]
    return torch.stack(drawn).to(like) * 2 - 1
