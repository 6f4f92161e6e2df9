"""Which corruption has which constants: those of CIFAR-10-C, for the severities 1 to 5."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.attacks.corruptions import blur, digital, noise, weather


@dataclass(frozen=True, slots=True)
class Corruption:
    """A corruption and its constants.

    Attributes:
        function: (images (N, C, H, W) in [0, 1], constants, generator) -> images, to be clipped.
        constants: one entry for each severity from 1 to 5.
    """

    function: Callable[[Tensor, Any, torch.Generator], Tensor]
    constants: tuple[Any, Any, Any, Any, Any]


#: make_cifar_c.py of Hendrycks & Dietterich 2019, not the larger constants of ImageNet-C. The lengths are pixels of
#: 32 × 32 images. Left out are glass blur, snow, frost and spatter: frost needs the authors' photographs, the others
#: pixel-by-pixel loops or filters that torch has not.
CORRUPTIONS: Mapping[str, Corruption] = {
    "shot_noise": Corruption(noise.shot_noise, (500, 250, 100, 75, 50)),
    "impulse_noise": Corruption(noise.impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07)),
    "speckle_noise": Corruption(noise.speckle_noise, (0.06, 0.1, 0.12, 0.16, 0.2)),
    "defocus_blur": Corruption(blur.defocus_blur, ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))),
    "gaussian_blur": Corruption(blur.gaussian_blur, (0.4, 0.6, 0.7, 0.8, 1)),
    "motion_blur": Corruption(blur.motion_blur, ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))),
    # How many enlargements from np.arange(1, last, 0.01), last = 1.06, 1.11, 1.16, 1.21, 1.26: rounding makes NumPy
    # include the last for the first two alone.
    "zoom_blur": Corruption(blur.zoom_blur, (7, 12, 16, 21, 26)),
    "fog": Corruption(weather.fog, ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))),
    "brightness": Corruption(weather.brightness, (0.05, 0.1, 0.15, 0.2, 0.3)),
    "contrast": Corruption(digital.contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),
    "saturate": Corruption(digital.saturate, ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2))),
    "elastic": Corruption(
        digital.elastic, ((0, 0, 2.56), (1.6, 6.4, 2.24), (2.56, 1.92, 1.92), (3.2, 1.28, 1.6), (3.2, 0.96, 0.96))
    ),
    "pixelate": Corruption(digital.pixelate, (0.95, 0.9, 0.85, 0.75, 0.65)),
    "jpeg": Corruption(digital.jpeg, (80, 65, 58, 50, 40)),
}
