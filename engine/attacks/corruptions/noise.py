"""Noise: shot, impulse and speckle noise.

Each function takes images (N, C, H, W) in [0, 1], the constant of a severity, and the generator, from which it draws
image by image, so that the stream is the same however the images are split into batches. The result may leave [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.attacks.gaussian_noise import normal_like


def shot_noise(images: Tensor, photons: float, generator: torch.Generator) -> Tensor:
    """Poisson noise, as few photons make it: Poisson(x·c)/c, where white stands for c photons."""
    drawn = [torch.poisson(image.cpu() * photons, generator=generator) for image in images]
    return torch.stack(drawn).to(images) / photons


def impulse_noise(images: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Salt and pepper: each element is, with probability c, replaced by 0 or 1."""
    drawn = [torch.rand((2, *images.shape[1:]), generator=generator) for _ in range(len(images))]
    hit, colour = torch.stack(drawn, dim=1).to(images)
    return torch.where(hit < amount, (colour < 0.5).to(images), images)


def speckle_noise(images: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Noise that grows with the brightness: x + x·n, n ~ N(0, c²)."""
    return images + images * sigma * normal_like(images, generator)
