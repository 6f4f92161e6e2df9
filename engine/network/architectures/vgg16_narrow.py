"""VGG-16 at a quarter of its width for small colour images (after Simonyan & Zisserman 2015), with batch norm."""

from __future__ import annotations

import torch
from torch import nn

from engine.errors import InvalidInputError
from engine.network.normalize import Normalize

# Channels of the thirteen convolutions, in blocks that end with a pooling.
BLOCKS = ((16, 16), (32, 32), (64, 64, 64), (128, 128, 128), (128, 128, 128))
HIDDEN = 128


class VGG16Narrow(nn.Module):
    """Thirteen 3×3 convolutions with batch norm, five poolings, linear layers 128, 128, classes: 0.95 M weights.

    Layers are named as in Zhang et al. 2020: conv1 … conv13, each followed by its bn and relu, then fc1, fc2, fc3.
    Differs from the ImageNet network in the width, in the batch norm and in the hidden linear layers (128 units for
    4,096).
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
        self._order: list[str] = []  # names of the modules before the linear layers, as they are run
        number = 0
        for block, widths in enumerate(BLOCKS, start=1):
            for filters in widths:
                number += 1
                self._add(f"conv{number}", _convolution(channels, filters))
                self._add(f"bn{number}", nn.BatchNorm2d(filters))
                self._add(f"relu{number}", nn.ReLU())
                channels = filters
            self._add(f"pool{block}", nn.MaxPool2d(2))
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(channels * (height // 32) * (width // 32), HIDDEN)
        self.relu14 = nn.ReLU()
        self.drop1 = nn.Dropout()
        self.fc2 = nn.Linear(HIDDEN, HIDDEN)
        self.relu15 = nn.ReLU()
        self.drop2 = nn.Dropout()
        self.fc3 = nn.Linear(HIDDEN, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        x = self.normalize(x)
        for name in self._order:
            x = getattr(self, name)(x)
        x = self.drop1(self.relu14(self.fc1(self.flatten(x))))
        x = self.drop2(self.relu15(self.fc2(x)))
        return self.fc3(x)  # type: ignore[no-any-return]

    def _add(self, name: str, module: nn.Module) -> None:
        self.add_module(name, module)
        self._order.append(name)


def _convolution(channels: int, filters: int) -> nn.Conv2d:
    convolution = nn.Conv2d(channels, filters, 3, padding=1, bias=False)  # the batch norm has the bias
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution
