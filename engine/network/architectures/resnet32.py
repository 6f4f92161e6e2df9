"""ResNet-18 for small colour images (after He et al. 2016)."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from engine.errors import InvalidInputError
from engine.network.normalize import Normalize


class ResNet18Small(ResNet):  # type: ignore[misc]
    """torchvision's ResNet-18 with a 3×3 first convolution of stride 1 and no pooling after it, as usual for 32×32."""

    def __init__(self, classes: int, image_shape: tuple[int, int, int], normalize: Normalize) -> None:
        """Makes the network with random weights.

        Raises:
            InvalidInputError: if a side of the image is below 8 pixels.
        """
        channels, height, width = image_shape
        if min(height, width) < 8:
            raise InvalidInputError(f"this ResNet-18 needs images of at least 8×8 pixels; got {height}×{width}.")
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=classes)
        self.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        del self.maxpool
        self.normalize = normalize

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        x = self.relu(self.bn1(self.conv1(self.normalize(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))  # type: ignore[no-any-return]
