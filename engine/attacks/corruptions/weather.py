"""Weather: fog and brightness.

Each function takes images (N, C, H, W) in [0, 1], the constants of a severity, and the generator, from which it draws
image by image. The result may leave [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.attacks.corruptions.sampling import next_power_of_two


def brightness(images: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """The value of hue, saturation and value raised by c, and no further than 1.

    A colour keeps its hue and saturation, so all its channels grow by one factor; black turns grey. With one channel
    this is adding c.
    """
    value = images.amax(dim=1, keepdim=True)
    raised = (value + amount).clamp(max=1.0)
    return torch.where(value > 0, images * (raised / value.clamp_min(1e-12)), raised)


def fog(images: Tensor, constants: tuple[float, float], generator: torch.Generator) -> Tensor:
    """A cloud added with weight c₀ and roughness falling by c₁ a level; then scaled back to the image's maximum."""
    weight, decay = constants
    height, width = images.shape[2:]
    cloud = plasma(len(images), next_power_of_two(max(height, width)), decay, generator)[:, None, :height, :width]
    largest = images.amax(dim=(1, 2, 3), keepdim=True)
    return (images + weight * cloud.to(images)) * largest / (largest + weight)


def plasma(count: int, size: int, decay: float, generator: torch.Generator) -> Tensor:
    """Plasma fractals (N, size, size) from 0 to 1, by the diamond-square algorithm on a torus.

    Each level sets the middles of the squares, then those of the diamonds, to the mean of their four corners plus
    w²·u, u uniform in [−1, 1]; w starts at 100 and is divided by ``decay`` from level to level. The size is a power of
    two: 32 in CIFAR-10-C, and more for a larger image.
    """
    # Every point is set once, so one field of random numbers per image serves all levels.
    drawn = [torch.rand(size, size, generator=generator, dtype=torch.float64) * 2 - 1 for _ in range(count)]
    noise, field = torch.stack(drawn), torch.zeros(count, size, size, dtype=torch.float64)
    step, wibble = size, 100.0
    while step >= 2:
        half, rough = step // 2, wibble**2
        corners = field[:, ::step, ::step]
        square = corners + corners.roll(-1, 1)
        square = square + square.roll(-1, 2)
        field[:, half::step, half::step] = square / 4 + rough * noise[:, half::step, half::step]
        middles = field[:, half::step, half::step]
        above = middles + middles.roll(1, 1) + corners + corners.roll(-1, 2)
        field[:, ::step, half::step] = above / 4 + rough * noise[:, ::step, half::step]
        beside = middles + middles.roll(1, 2) + corners + corners.roll(-1, 1)
        field[:, half::step, ::step] = beside / 4 + rough * noise[:, half::step, ::step]
        step, wibble = half, wibble / decay
    field = field - field.amin(dim=(1, 2), keepdim=True)
    return field / field.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)
