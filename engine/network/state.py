"""Leaves a model as it was: training flags are restored whatever happens in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn


@dataclass(slots=True)
class _Inside:
    """The flags to give back, and how many blocks still need the model in eval mode."""

    flags: list[tuple[nn.Module, bool]]
    blocks: int = 0


_LOCK = threading.Lock()
_INSIDE: dict[int, _Inside] = {}


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Puts every submodule in eval mode inside the block and gives each its own flag back after it.

    ``model.train(was_training)`` would not do: a model whose batch norm alone is frozen has flags that differ from
    module to module. The flags are set one by one rather than by ``model.eval()``, because an overridden ``train()``
    may do more than set the flag. Blocks of several threads on one model may overlap: the last that ends restores.
    """
    with _LOCK:
        inside = _INSIDE.get(id(model))
        if inside is None:
            inside = _INSIDE[id(model)] = _Inside([(module, module.training) for module in model.modules()])
            for module, _ in inside.flags:
                module.training = False
        inside.blocks += 1
    try:
        yield
    finally:
        with _LOCK:
            inside.blocks -= 1
            if not inside.blocks:
                del _INSIDE[id(model)]
                for module, training in inside.flags:
                    module.training = training
