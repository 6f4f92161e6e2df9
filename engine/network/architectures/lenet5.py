"""LeNet-5 as the effective-path papers use it (Qiu et al. 2019; after LeCun et al. 1998)."""

from __future__ import annotations

import torch
from torch import nn

from engine.errors import InvalidInputError
from engine.network.normalize import Normalize


class LeNet5(nn.Module):
    """conv 6·5×5 (padding 2), max pool, conv 16·5×5, max pool, fully connected 120, 84, classes; ReLU throughout.

    Differs from LeCun's network in the three ways the effective-path papers do: ReLU for tanh, max for average
    pooling, and a second convolution connected to all six maps.
    """

    def __init__(self, classes: int, image_shape: tuple[int, int, int], normalize: Normalize) -> None:
        """Makes the network with random weights.

        Raises:
            InvalidInputError: if the image is too small for two convolutions and poolings (12 pixels a side).
        """
        super().__init__()
        channels, height, width = image_shape
        rows, columns = (height // 2 - 4) // 2, (width // 2 - 4) // 2
        if rows < 1 or columns < 1:
            raise InvalidInputError(f"LeNet-5 needs images of at least 12×12 pixels; got {height}×{width}.")
        self.normalize = normalize
        self.conv1 = nn.Conv2d(channels, 6, 5, padding=2)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(16 * rows * columns, 120)
        self.relu3 = nn.ReLU()
        self.fc2 = nn.Linear(120, 84)
        self.relu4 = nn.ReLU()
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        x = self.pool1(self.relu1(self.conv1(self.normalize(x))))
        x = self.pool2(self.relu2(self.conv2(x)))
        x = self.relu3(self.fc1(self.flatten(x)))
        return self.fc3(self.relu4(self.fc2(x)))  # type: ignore[no-any-return]
