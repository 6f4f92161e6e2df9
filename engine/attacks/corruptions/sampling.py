"""Borders, filters and resampling that the corruptions share, for images of any size."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

#: What lies beyond the border, for the row a b c d: nearest d|d d, symmetric d|d c, mirror d|c b.
Border = Literal["nearest", "symmetric", "mirror"]


def beyond(positions: Tensor, size: int, border: Border) -> Tensor:
    """Whole positions, also outside 0 … size − 1, turned into the positions inside that they stand for."""
    if border == "nearest" or size == 1:
        return positions.clamp(0, size - 1)
    if border == "symmetric":
        return torch.minimum(positions % (2 * size), (-1 - positions) % (2 * size))
    return torch.minimum(positions % (2 * size - 2), -positions % (2 * size - 2))


def padded(images: Tensor, margin: int, border: Border) -> Tensor:
    """The images (N, C, H, W) with ``margin`` pixels more on each side; unlike torch's, for any margin and size."""
    height, width = images.shape[2:]
    rows = beyond(torch.arange(-margin, height + margin, device=images.device), height, border)
    columns = beyond(torch.arange(-margin, width + margin, device=images.device), width, border)
    return images[:, :, rows][:, :, :, columns]


def filtered(images: Tensor, kernel: Tensor, border: Border) -> Tensor:
    """Each channel correlated with a square kernel (2r + 1, 2r + 1)."""
    channels, margin = images.shape[1], kernel.shape[0] // 2
    weights = kernel.to(images).expand(channels, 1, -1, -1)
    return functional.conv2d(padded(images, margin, border), weights, groups=channels)


def gaussian_kernel(sigma: float, radius: int) -> Tensor:
    """exp(−i²/2σ²) for i from −r to r, with sum 1; in 64 bits."""
    positions = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = (-(positions**2) / (2 * sigma**2)).exp()
    return weights / weights.sum()


def gaussian_blurred(images: Tensor, sigma: float, truncate: float, border: Border) -> Tensor:
    """Gaussian blur with the kernel cut at ``truncate`` standard deviations; σ = 0 changes nothing."""
    if sigma == 0:
        return images
    kernel = gaussian_kernel(sigma, int(truncate * sigma + 0.5)).to(images)
    channels, margin = images.shape[1], len(kernel) // 2
    tall = kernel[:, None].expand(channels, 1, -1, 1)
    wide = kernel[None, :].expand(channels, 1, 1, -1)
    once = functional.conv2d(padded(images, margin, border), tall, groups=channels)
    return functional.conv2d(once, wide, groups=channels)


def box_matrix(before: int, after: int) -> Tensor:
    """(after, before): how a row is resized with Pillow's box filter, the plain mean of the pixels it falls on."""
    ratio = before / after
    support = 0.5 * max(ratio, 1.0)
    matrix = torch.zeros(after, before, dtype=torch.float64)
    for row in range(after):
        centre = (row + 0.5) * ratio
        first = max(int(centre - support + 0.5), 0)
        last = min(int(centre + support + 0.5), before)
        for column in range(first, last):
            place = (column - centre + 0.5) / max(ratio, 1.0)
            matrix[row, column] = float(-0.5 < place <= 0.5)
    return matrix / matrix.sum(dim=1, keepdim=True)


def sampled(images: Tensor, rows: Tensor, columns: Tensor, border: Literal["symmetric", "mirror"]) -> Tensor:
    """The images (N, C, H, W) at the positions ``rows`` and ``columns`` (N, H, W) in pixels, bilinearly."""
    mirror = border == "mirror"
    grid = torch.stack(
        [_normalised(columns, images.shape[3], mirror), _normalised(rows, images.shape[2], mirror)], dim=3
    )
    return functional.grid_sample(images, grid.to(images), padding_mode="reflection", align_corners=mirror)


def _normalised(positions: Tensor, size: int, corners: bool) -> Tensor:
    return 2 * positions / max(size - 1, 1) - 1 if corners else (2 * positions + 1) / size - 1


def next_power_of_two(number: int) -> int:
    """The smallest power of two that is at least ``number``."""
    return 1 << (number - 1).bit_length()
