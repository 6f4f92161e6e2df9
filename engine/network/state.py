"""Leaves a model as it was: training flags are restored whatever happens in between."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Puts every submodule in eval mode inside the block and gives each its own flag back after it.

    ``model.train(was_training)`` would not do: a model whose batch norm alone is frozen has flags that differ from
    module to module.
    """
    flags = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, training in flags:
            module.training = training
