"""timm's architectures, with normalisation inside."""

from __future__ import annotations

import timm
import torch
from torch import nn

from engine.errors import InvalidInputError
from engine.network.normalize import Normalize

Shape = tuple[int, int, int]


class TimmClassifier(nn.Module):
    """An architecture of timm behind a normalisation; its own weights fit ``network``."""

    def __init__(self, name: str, classes: int, image_shape: Shape, normalize: Normalize) -> None:
        """Makes the network with random weights.

        Args:
            name: timm's.
            classes: number of logits.
            image_shape: (C, H, W); most architectures take any size above some 32 pixels.
            normalize: applied first.

        Raises:
            InvalidInputError: if timm has no such architecture, or it cannot be made for such images.
        """
        super().__init__()
        if not timm.is_model(name):
            raise InvalidInputError(
                f"timm has no architecture {name[:60]!r}; `timm.list_models()` lists those it has, without the prefix "
                "timm/."
            )
        self.normalize = normalize
        try:
            self.network: nn.Module = timm.create_model(name, num_classes=classes, in_chans=image_shape[0])
        except (RuntimeError, TypeError, ValueError, AssertionError) as error:
            raise InvalidInputError(
                f"timm's {name} cannot be made for {classes} classes and images of {image_shape}: {error}."
            ) from error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        return self.network(self.normalize(x))  # type: ignore[no-any-return]
