"""Normalisation as the first module of a model, so that every model takes images in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from engine.errors import InvalidInputError


class Normalize(nn.Module):
    """(x - mean) / std per channel. ``mean`` and ``std`` are (C, 1, 1) buffers and are saved with the weights."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Takes one mean and one standard deviation a channel, of images in [0, 1].

        Raises:
            InvalidInputError: if their numbers differ or a deviation is not positive.
        """
        super().__init__()
        if len(mean) != len(std) or not all(value > 0 for value in std):
            raise InvalidInputError(
                f"expected as many means as positive standard deviations; got {tuple(mean)} and {tuple(std)}."
            )
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalises (N, C, H, W).

        Raises:
            AssertionError: for images of another number of channels, which arithmetic would spread silently.
        """
        torch._assert(  # torch's own, which torch.fx can follow
            x.shape[1] == self.mean.shape[0],
            f"expected images with {self.mean.shape[0]} channels, which this model's normalisation is for",
        )
        return (x - self.mean) / self.std
