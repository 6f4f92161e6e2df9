"""NAttack: the distribution of adversarial images around an image, found by natural evolution strategies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

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

SAMPLES = Parameter(
    "samples",
    "Samples",
    "int",
    300,
    low=2,
    high=10_000,
    help="Samples of the Gaussian per step, one query each; more make the estimate less noisy.",
)
SIGMA = Parameter(
    "sigma",
    "Spread σ",
    "float",
    0.1,
    low=1e-3,
    high=10.0,
    help="Standard deviation of the Gaussian, before the hyperbolic tangent.",
)

#: Settings that suit the images of a data set: the radii of Madry et al. 2018 and of Zhang et al. 2020.
NATTACK_PRESETS: dict[str, dict[str, Value]] = {
    "mnist": {"epsilon": 0.3},
    "cifar10": {"epsilon": 8 / 255},
}


@dataclass(frozen=True)
class NAttack(BlackBoxAttack):
    """Li et al. 2019, section 3 and algorithm 1: ascent on the mean μ of a Gaussian whose samples are attacked images.

    μ ← μ + η/(bσ) Σᵢ Âᵢ nᵢ with nᵢ ~ N(0, 1)ᵈ and Âᵢ the rewards of the samples x + ε·tanh(μ + σnᵢ), less their mean
    and divided by their standard deviation. The reward is the margin, but no more than 0; the image returned is the
    mean's. Settings by default as in Zhang et al. 2020 (μ₀ = 0, b = 300, σ² = 0.01, 100 steps), apart from ε and η.

    Deviations: the paper writes x' = (tanh(arctanh(2x − 1) + μ + σn) + 1)/2 and clips it to the ball. There a pixel of
    exactly 0 or 1, as most of MNIST's are, has no slope and never moves. With the tangent around the change instead,
    every pixel moves and nothing but [0, 1] is clipped. A unit of μ is then worth ε of full scale instead of up to a
    half, and the papers' η = 0.008 hardly leaves the image: the default is larger.
    """

    name: ClassVar[str] = "nattack"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        LINF_EPSILON,
        query_steps_parameter(100),
        SAMPLES,
        learning_rate_parameter(0.3),
        SIGMA,
    )

    learning_rate: float = 0.3
    samples: int = 300
    sigma: float = 0.1

    def start(self, images: Tensor, streams: Sequence[torch.Generator]) -> Tensor:
        """The mean zero: the image itself."""
        return torch.zeros_like(images)

    def place(self, images: Tensor, unknowns: Tensor) -> Tensor:
        """x + ε·tanh(μ)."""
        return (images + self.epsilon * unknowns.tanh()).clamp(0.0, 1.0)

    def climb(self, unknowns: Tensor) -> Climb:
        """A step of the learning rate along the gradient."""
        return lambda gradient, rows: self.learning_rate * gradient

    def queries(self) -> int:
        """One for each sample."""
        return self.samples

    def estimate(self, margin: Margin, images: Tensor, unknowns: Tensor, streams: Sequence[torch.Generator]) -> Tensor:
        """1/(bσ) Σᵢ Âᵢ nᵢ, summed part by part: the mean and the spread of the rewards are known only at the end."""
        noise_sum, weighted_sum = torch.zeros_like(unknowns), torch.zeros_like(unknowns)
        parts = []
        for count in parts_of(self.samples, images, queries_each=1):
            noise = _normal(streams, count, unknowns)
            parts.append(margin(self.place(images[:, None], unknowns[:, None] + self.sigma * noise)).clamp(max=0.0))
            noise_sum += noise.sum(dim=1)
            weighted_sum += torch.einsum("nk,nkchw->nchw", parts[-1], noise)
        spread, mean = torch.std_mean(torch.cat(parts, dim=1), dim=1, correction=0)
        centred = weighted_sum - mean[:, None, None, None] * noise_sum
        return centred / ((spread + 1e-7)[:, None, None, None] * self.samples * self.sigma)


def _normal(streams: Sequence[torch.Generator], count: int, like: Tensor) -> Tensor:
    shape = (count, *like.shape[1:])
    return torch.stack([torch.randn(shape, generator=stream) for stream in streams]).to(like)
