"""AlexNet for small colour images (after Krizhevsky et al. 2012)."""

from __future__ import annotations

import torch
from torch import nn

from engine.errors import InvalidInputError
from engine.network.normalize import Normalize


class AlexNet32(nn.Module):
    """AlexNet's five convolutions (64, 192, 384, 256, 256: 1,152 channels) and three linear layers, for 32×32 images.

    Differs from the ImageNet network in what the image's size forces: the first two convolutions are 3×3 without
    stride, pooling windows are 2×2, the last 4×4, and the hidden linear layers have 512 units, a fifth of them dropped
    while training.
    """

    def __init__(self, classes: int, image_shape: tuple[int, int, int], normalize: Normalize) -> None:
        """Makes the network with random weights.

        Raises:
            InvalidInputError: if a side of the image is below 16 pixels.
        """
        super().__init__()
        channels, height, width = image_shape
        if min(height, width) < 16:
            raise InvalidInputError(f"this AlexNet needs images of at least 16×16 pixels; got {height}×{width}.")
        rows, columns = (side // 16 for side in (height, width))
        self.normalize = normalize
        self.features = nn.Sequential(
            nn.Conv2d(channels, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(64, 192, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(4),
        )
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Dropout(0.2),
            nn.Linear(256 * rows * columns, 512),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(512, 512),
            nn.ReLU(),
            nn.Linear(512, classes),
        )
        for module in self.features:
            if isinstance(module, nn.Conv2d):  # without batch norm, torch's own are too small to learn fast
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        return self.classifier(self.flatten(self.features(self.normalize(x))))  # type: ignore[no-any-return]
