"""A point in a traced model that other libraries may watch, without setting a hook on the person's model."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn

from engine.network.trace import Network


class Tapped(nn.Module):
    """Runs a traced model and passes the output of one step through ``tap``, a module of its own.

    A library that wants a module to hook (captum does) gets ``tap``. The hooks are gone with this object, and threads
    that run the person's model meanwhile never meet them.
    """

    def __init__(self, network: Network, node: str) -> None:
        """Taps the step ``node`` of ``network``."""
        super().__init__()
        self.tap = nn.Identity()
        self._node = node
        self._runner = network.runner

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) of images (N, C, H, W)."""
        logits: torch.Tensor = self._runner.run(images, lambda *_: None, self._change)
        return logits

    def _change(self, node: fx.Node, value: Any) -> Any:
        return self.tap(value) if node.name == self._node else value
