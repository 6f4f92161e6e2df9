"""Adam, row by row, for attacks that optimise each image by itself."""

from __future__ import annotations

import torch
from torch import Tensor


class Adam:
    """Adam (Kingma & Ba 2015, algorithm 1), with moments of its own for each image, so that images can drop out.

    ``torch.optim.Adam`` would do for a fixed batch; here the rows that are still at work shrink from step to step. All
    rows have to be given until they drop out for good.
    """

    def __init__(
        self,
        like: Tensor,
        learning_rate: float,
        *,
        decay: tuple[float, float] = (0.9, 0.999),
        tiny: float = 1e-8,
    ) -> None:
        """Starts with zero moments for the rows of ``like`` (N, ...)."""
        self.learning_rate = learning_rate
        self.decay = decay
        self.tiny = tiny
        self._mean = torch.zeros_like(like)
        self._square = torch.zeros_like(like)
        self._steps = 0

    def change(self, gradient: Tensor, rows: Tensor) -> Tensor:
        """What to add to the unknowns of ``rows`` (n,) to go up along ``gradient`` (n, ...)."""
        first, second = self.decay
        self._steps += 1
        self._mean[rows] = first * self._mean[rows] + (1 - first) * gradient
        self._square[rows] = second * self._square[rows] + (1 - second) * gradient**2
        mean = self._mean[rows] / (1 - first**self._steps)
        square = self._square[rows] / (1 - second**self._steps)
        return self.learning_rate * mean / (square.sqrt() + self.tiny)
