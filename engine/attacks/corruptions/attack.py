"""Common corruptions as an attack that does not look at the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from engine.attacks.base import Attack
from engine.attacks.corruptions.table import CORRUPTIONS
from engine.attacks.gaussian_noise import SEVERITY
from engine.attacks.logits import Logits
from engine.progress import Progress
from engine.registry import Parameter


@dataclass(frozen=True)
class CommonCorruption(Attack):
    """One of the corruptions of Hendrycks & Dietterich 2019, section 4.1, with CIFAR-10-C's constants.

    Images may have any size and any number of channels, apart from ``saturate``, which needs colour, and ``jpeg``,
    which needs one or three. Lengths are pixels of 32 × 32 images and are not scaled. Deviations: the result is not cut
    to 8 bits (apart from jpeg), and the affine map of elastic is interpolated exactly, not in 32nds of a pixel.
    """

    name: ClassVar[str] = "corruption"
    targetable: ClassVar[bool] = False
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "corruption",
            "Corruption",
            "choice",
            "shot_noise",
            choices=tuple(CORRUPTIONS),
            help="What happens to the image; saturate needs colour.",
        ),
        SEVERITY,
    )

    corruption: str = "shot_noise"
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
        """The corrupted images."""
        progress(0.0, f"{self.corruption}, severity {self.severity}")
        chosen = CORRUPTIONS[self.corruption]
        return chosen.function(images, chosen.constants[self.severity - 1], generator).clamp(0.0, 1.0)
