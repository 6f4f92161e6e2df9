"""torchvision's ImageNet architectures, with normalisation inside.

They subclass torchvision's classes rather than wrap them, so that layers keep their names (``features.0``,
``layer1.0.conv1``) and torchvision's own weights fit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torchvision.models.alexnet import AlexNet
from torchvision.models.inception import Inception3, InceptionOutputs
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.models.vgg import VGG, cfgs, make_layers

from engine.errors import InvalidInputError
from engine.network.normalize import Normalize

Shape = tuple[int, int, int]


class NormalizedAlexNet(AlexNet):  # type: ignore[misc]
    """torchvision's AlexNet."""

    def __init__(self, classes: int, image_shape: Shape, normalize: Normalize) -> None:
        """Makes the network with random weights; images need three channels and at least 63 pixels a side."""
        _check_shape("AlexNet", image_shape, 63)
        super().__init__(num_classes=classes)
        self.normalize = normalize

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) of images (N, 3, H, W) in [0, 1]."""
        return super().forward(self.normalize(x))  # type: ignore[no-any-return]


class NormalizedVGG16(VGG):  # type: ignore[misc]
    """torchvision's VGG-16 (without batch norm)."""

    def __init__(self, classes: int, image_shape: Shape, normalize: Normalize) -> None:
        """Makes the network with random weights; images need three channels and at least 32 pixels a side.

        The weights keep torch's default initialisation: torchvision's own takes seconds and is overwritten by any
        checkpoint.
        """
        _check_shape("VGG-16", image_shape, 32)
        super().__init__(make_layers(cfgs["D"]), num_classes=classes, init_weights=False)
        self.normalize = normalize

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) of images (N, 3, H, W) in [0, 1]."""
        return super().forward(self.normalize(x))  # type: ignore[no-any-return]


class NormalizedResNet(ResNet):  # type: ignore[misc]
    """torchvision's ResNet."""

    def __init__(
        self,
        classes: int,
        image_shape: Shape,
        normalize: Normalize,
        block: type[BasicBlock] | type[Bottleneck],
        depths: list[int],
    ) -> None:
        """Makes the network with random weights; images need three channels and at least 32 pixels a side."""
        _check_shape("ResNet", image_shape, 32)
        super().__init__(block, depths, num_classes=classes)
        self.normalize = normalize

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) of images (N, 3, H, W) in [0, 1]."""
        return super().forward(self.normalize(x))  # type: ignore[no-any-return]


class NormalizedInception(Inception3):  # type: ignore[misc]
    """torchvision's Inception-v3. Its auxiliary classifier is kept, so that published weights fit, and not returned."""

    def __init__(self, classes: int, image_shape: Shape, normalize: Normalize) -> None:
        """Makes the network with random weights (torch's default initialisation: torchvision's takes a minute).

        Images need three channels and at least 75 pixels a side, 299 for training.
        """
        _check_shape("Inception-v3", image_shape, 75)
        super().__init__(num_classes=classes, aux_logits=True, init_weights=False)
        self.normalize = normalize

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) of images (N, 3, H, W) in [0, 1]."""
        output = super().forward(self.normalize(x))
        return output.logits if isinstance(output, InceptionOutputs) else output  # type: ignore[no-any-return]


def resnet18(classes: int, image_shape: Shape, normalize: Normalize) -> nn.Module:
    """torchvision's ResNet-18."""
    return NormalizedResNet(classes, image_shape, normalize, BasicBlock, [2, 2, 2, 2])


def resnet50(classes: int, image_shape: Shape, normalize: Normalize) -> nn.Module:
    """torchvision's ResNet-50."""
    return NormalizedResNet(classes, image_shape, normalize, Bottleneck, [3, 4, 6, 3])


def _check_shape(name: str, image_shape: tuple[Any, ...], smallest: int) -> None:
    channels, height, width = image_shape
    if channels != 3 or min(height, width) < smallest:
        raise InvalidInputError(
            f"{name} needs images with 3 channels and at least {smallest}×{smallest} pixels; got {image_shape}."
        )
