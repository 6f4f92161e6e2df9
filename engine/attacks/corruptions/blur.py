"""Blur: defocus, Gaussian, motion and zoom blur.

Each function takes images (N, C, H, W) in [0, 1], the constants of a severity, in pixels, and the generator.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from engine.attacks.corruptions.sampling import beyond, filtered, gaussian_blurred, gaussian_kernel


def gaussian_blur(images: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """A Gaussian of standard deviation c."""
    return gaussian_blurred(images, sigma, truncate=4.0, border="nearest")


def defocus_blur(images: Tensor, constants: tuple[float, float], generator: torch.Generator) -> Tensor:
    """A disc of radius c₀ whose edge is softened by a 3 × 3 Gaussian of standard deviation c₁."""
    return filtered(images, disc_kernel(*constants), border="mirror")


def disc_kernel(radius: float, softness: float) -> Tensor:
    """The kernel of the defocus, with sum 1."""
    reach = math.floor(radius) + 1
    positions = torch.arange(-reach, reach + 1, dtype=torch.float64)
    disc = (positions[:, None] ** 2 + positions[None, :] ** 2 <= radius**2).double()
    line = gaussian_kernel(softness, 1)
    # The disc is surrounded by zeros, so nothing is lost at the border.
    return functional.conv2d((disc / disc.sum())[None, None], (line[:, None] * line[None, :])[None, None], padding=1)[
        0, 0
    ]


def motion_blur(images: Tensor, constants: tuple[int, float], generator: torch.Generator) -> Tensor:
    """The mean along a line of 2·c₀ + 1 pixels at an angle within ±45°, weighted by half a Gaussian of c₁.

    This is ImageMagick's MotionBlurImage: pixel i of the line lies i steps away, rounded to whole pixels.
    """
    radius, sigma = constants
    length = 2 * radius + 1
    weights = gaussian_kernel(sigma, length - 1)[length - 1 :]
    # One draw per image: the stream is the same however the images are split into batches.
    drawn = torch.stack([torch.rand((), generator=generator, dtype=torch.float64) for _ in range(len(images))])
    angles = (drawn - 0.5) * math.pi / 2
    blurred = torch.zeros_like(images)
    for step, weight in enumerate((weights / weights.sum()).tolist()):
        right, down = (step * angles.cos() - 0.5).ceil().long(), (step * angles.sin() - 0.5).ceil().long()
        blurred += weight * _shifted(images, right.to(images.device), down.to(images.device))
    return blurred


def _shifted(images: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Each pixel takes the value of the one ``right`` and ``down`` (N,) of it."""
    height, width = images.shape[2:]
    rows = beyond(torch.arange(height, device=images.device) + down[:, None], height, "nearest")
    columns = beyond(torch.arange(width, device=images.device) + right[:, None], width, "nearest")
    every = torch.arange(len(images), device=images.device)[:, None, None]
    # An index between slices' places puts its dimensions first: (N, H, W, C).
    return images.permute(0, 2, 3, 1)[every, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def zoom_blur(images: Tensor, factors: int, generator: torch.Generator) -> Tensor:
    """The mean of the image and of its enlargements by 1, 1.01, 1.02, …: c of them."""
    total = images.clone()
    for step in range(factors):
        total += enlarged(images, 1 + 0.01 * step)
    return total / (factors + 1)


def enlarged(images: Tensor, factor: float) -> Tensor:
    """The middle of the images, enlarged bilinearly to their size.

    As in the authors' code the part cut out is enlarged corner to corner to a whole number of pixels and then trimmed.
    """
    size = [int(length) for length in images.shape[2:]]
    cut = [math.ceil(length / factor) for length in size]
    first = [(length - part) // 2 for length, part in zip(size, cut, strict=True)]
    middle = images[:, :, first[0] : first[0] + cut[0], first[1] : first[1] + cut[1]]
    large = [round(part * factor) for part in cut]
    zoomed = functional.interpolate(middle, size=large, mode="bilinear", align_corners=True)
    trim = [(length - wanted) // 2 for length, wanted in zip(large, size, strict=True)]
    return zoomed[:, :, trim[0] : trim[0] + size[0], trim[1] : trim[1] + size[1]]
