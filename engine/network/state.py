"""Leaves a model as it was: training flags are restored whatever happens in between."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Puts every submodule in eval mode inside the block and gives each its own flag back after it.

    ``model.train(was_training)`` would not do: a model whose batch norm alone is frozen has flags that differ from
    module to module. The flags are set one by one rather than by ``model.eval()``, because an overridden ``train()``
    may do more than set the flag.
    """
    flags = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in flags:
            module.training = False
        yield
    finally:
        for module, training in flags:
            module.training = training
