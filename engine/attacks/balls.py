"""The sets a perturbation is kept in: how to step, project and start in the L∞ and in the L2 ball."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Ball(Protocol):
    """A norm ball around each image. All tensors are (N, C, H, W); the radius is one number, or (N, 1, 1, 1)."""

    def steepest(self, gradient: Tensor) -> Tensor:
        """The direction of norm 1 along which the gradient rises most; zero where the gradient is zero."""

    def project(self, change: Tensor, epsilon: float | Tensor) -> Tensor:
        """The nearest change of norm at most ``epsilon``."""

    def draw(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """One point per image, uniform in the ball of radius 1."""


class LinfBall:
    """No element changes by more than ε."""

    def steepest(self, gradient: Tensor) -> Tensor:
        """The sign of each element."""
        return gradient.sign()

    def project(self, change: Tensor, epsilon: float | Tensor) -> Tensor:
        """Each element cut to [−ε, ε]."""
        bound = torch.as_tensor(epsilon).to(change)
        return change.clamp(-bound, bound)

    def draw(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """Each element uniform in [−1, 1]."""
        # One draw per image: the stream is the same however the images are split into batches.
        drawn = [torch.rand(like.shape[1:], generator=generator) * 2 - 1 for _ in range(len(like))]
        return torch.stack(drawn).to(like)


class L2Ball:
    """The Euclidean length of an image's change is at most ε."""

    def steepest(self, gradient: Tensor) -> Tensor:
        """The gradient divided by its length."""
        # Divided by the largest element first: the squares of a nearly saturated loss's gradient would underflow.
        largest = gradient.abs().amax(dim=(1, 2, 3), keepdim=True)
        scaled = torch.where(largest > 0, gradient / largest, torch.zeros_like(gradient))
        return scaled / _length(scaled).clamp_min(1e-12)

    def project(self, change: Tensor, epsilon: float | Tensor) -> Tensor:
        """The change, shortened to ε where it is longer."""
        return change * (epsilon / _length(change).clamp_min(1e-12)).clamp(max=1.0)

    def draw(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """A uniform direction times the d-th root of a uniform number, d the number of elements."""
        dimensions = like[0].numel()
        drawn = []
        for _ in range(len(like)):
            direction = torch.randn(like.shape[1:], generator=generator)
            radius = torch.rand((), generator=generator) ** (1 / dimensions)
            drawn.append(direction / direction.norm().clamp_min(1e-12) * radius)
        return torch.stack(drawn).to(like)


def _length(change: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(change, dim=(1, 2, 3), keepdim=True)
    return length
