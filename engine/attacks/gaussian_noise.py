"""Gaussian noise at five severities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from engine.attacks.base import Attack
from engine.attacks.logits import Logits
from engine.progress import Progress
from engine.registry import Parameter

SEVERITY = Parameter(
    "severity", "Severity", "int", 3, low=1, high=5, help="From 1, hardly visible, to 5, as in CIFAR-10-C."
)

#: Standard deviation for the severities 1 to 5: those of CIFAR-10-C, not the larger ones of ImageNet-C.
SIGMAS = (0.04, 0.06, 0.08, 0.09, 0.10)


@dataclass(frozen=True)
class GaussianNoise(Attack):
    """x' = clip(x + n), n ~ N(0, σ²), Hendrycks & Dietterich 2019, section 4.1, with CIFAR-10-C's σ.

    It does not look at the model. Deviation: CIFAR-10-C cuts the result to 8 bits.
    """

    name: ClassVar[str] = "gaussian_noise"
    targetable: ClassVar[bool] = False
    parameters: ClassVar[tuple[Parameter, ...]] = (SEVERITY,)

    severity: int = 3

    def perturb(
        self,
        model: Logits,
        images: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        generator: torch.Generator,
        progress: Progress,
    ) -> Tensor:
        """The images with noise on every element."""
        progress(0.0, "drawing noise")
        return (images + SIGMAS[self.severity - 1] * normal_like(images, generator)).clamp(0.0, 1.0)


def normal_like(images: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal numbers (N, C, H, W)."""
    # One draw per image: the stream is the same however the images are split into batches.
    return torch.stack([torch.randn(images.shape[1:], generator=generator) for _ in range(len(images))]).to(images)
