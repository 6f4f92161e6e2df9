"""Random changes of training images that leave their class as it is."""

from __future__ import annotations

import torch
from torch import nn

from engine.hardening.recipes import Recipe


def augmented(images: torch.Tensor, recipe: Recipe, generator: torch.Generator) -> torch.Tensor:
    """Images (N, C, H, W), each mirrored and shifted at random as far as the recipe says so."""
    if recipe.flips:
        mirrored = torch.rand(len(images), generator=generator) < 0.5
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    if recipe.crop_padding:
        height, width, border = images.shape[2], images.shape[3], recipe.crop_padding
        padded = nn.functional.pad(images, (border,) * 4)
        rows, columns = torch.randint(0, 2 * border + 1, (2, len(images), 1), generator=generator)
        y = (rows + torch.arange(height))[:, None, :, None]
        x = (columns + torch.arange(width))[:, None, None, :]
        channels = torch.arange(images.shape[1])[None, :, None, None]
        images = padded[torch.arange(len(images))[:, None, None, None], channels, y, x]
    return images
