"""Compiles the kernels ahead of their first use: ``python -m engine.paths.compilation``.

numba compiles a kernel when it is first called and keeps the result on disk. Run in a process of its own, this does so
while another one is still importing torch; where the result is on disk already, it only takes the time of the imports.
"""

from __future__ import annotations

import torch
from torch import nn

from engine.paths.extraction import EffectivePath


class _EveryKernel(nn.Module):
    """The smallest network whose path needs all three kernels: a layer, a pooling and a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.flatten(self.pool(self.layer(x) + x), 1)


def compile_kernels() -> None:
    """Runs one small image through every kernel."""
    EffectivePath(_EveryKernel()).extract(torch.ones(1, 1, 2, 4))


if __name__ == "__main__":
    compile_kernels()
