"""VGG-16 for small colour images (after Simonyan & Zisserman 2015), with batch norm."""

from __future__ import annotations

import torch
from torch import nn

from engine.errors import InvalidInputError
from engine.network.normalize import Normalize

# Channels of the thirteen convolutions; 0 is a pooling.
PLAN = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)


class VGG16Small(nn.Module):
    """Thirteen 3×3 convolutions with batch norm, five poolings, linear layers 512, 512, classes.

    Differs from the ImageNet network in the batch norm and in the hidden linear layers (512 units for 4,096), as is
    usual for 32×32 images.
    """

    def __init__(self, classes: int, image_shape: tuple[int, int, int], normalize: Normalize) -> None:
        """Makes the network with random weights.

        Raises:
            InvalidInputError: if a side of the image is below 32 pixels.
        """
        super().__init__()
        channels, height, width = image_shape
        if min(height, width) < 32:
            raise InvalidInputError(f"VGG-16 needs images of at least 32×32 pixels; got {height}×{width}.")
        self.normalize = normalize
        self.features = _features(channels)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Linear(512 * (height // 32) * (width // 32), 512),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(512, 512),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(512, classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        return self.classifier(self.flatten(self.features(self.normalize(x))))  # type: ignore[no-any-return]


def _features(channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in PLAN:
        if width == 0:
            layers.append(nn.MaxPool2d(2))
            continue
        convolution = nn.Conv2d(channels, width, 3, padding=1, bias=False)  # the batch norm has the bias
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers)
