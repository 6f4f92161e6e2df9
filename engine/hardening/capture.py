"""The outputs of units while a model trains, with gradients, and with its batch norms at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from engine.errors import UnsupportedOperationError
from engine.network.trace import Network
from engine.network.units import UnitLayer


@dataclass(frozen=True, slots=True, eq=False)
class _Tap:
    """Where a unit layer's output appears: at the ``call``-th call of a module in one forward pass, from 0."""

    name: str
    module: nn.Module
    call: int


class Taps:
    """Records the outputs of unit layers in the model's own forward pass.

    The output of a convolution with a batch norm folded into it is that of the batch norm (definitions 1); while the
    model trains it is normalised by the batch's statistics, as the model's own is. Hooks are set inside
    :meth:`recording` alone.
    """

    def __init__(self, network: Network, layers: Sequence[UnitLayer]) -> None:
        """Finds the modules.

        Args:
            network: the traced model; its graph alone is used, so that it may be older than the weights.
            layers: of which the outputs are wanted.

        Raises:
            UnsupportedOperationError: for a layer whose output no module of the model gives.
        """
        self._taps = [_tap(network, layer) for layer in layers]

    @contextmanager
    def recording(self) -> Iterator[dict[str, Tensor]]:
        """Inside the block the model's forward pass fills the mapping: by unit layer's name, its output (N, U, ...).

        What is recorded is the tensor that the rest of the pass depends on, so a loss can be derived by it. After the
        block, also after an exception, no hook is left.
        """
        outputs: dict[str, Tensor] = {}
        handles = [module.register_forward_hook(self._hook(module, outputs)) for module in self._modules()]
        try:
            yield outputs
        finally:
            for handle in handles:
                handle.remove()

    def _modules(self) -> list[nn.Module]:
        return list({id(tap.module): tap.module for tap in self._taps}.values())

    def _hook(self, module: nn.Module, outputs: dict[str, Tensor]) -> Callable[..., Tensor]:
        names = {tap.call: tap.name for tap in self._taps if tap.module is module}
        calls = 0

        def hook(_module: nn.Module, _given: Any, output: Tensor) -> Tensor:
            nonlocal calls
            name = names.get(calls)
            calls += 1
            if name is None:
                return output
            outputs[name] = output
            return output.clone()  # an in-place step behind it would change what was recorded

        return hook


def _tap(network: Network, layer: UnitLayer) -> _Tap:
    graph = network.runner.module
    nodes = list(graph.graph.nodes)
    node = next(node for node in nodes if node.name == layer.node)
    if layer.node in network.runner.layers:
        node = next((user for user in node.users if user.name in network.runner.folded), node)
    if node.op != "call_module":
        raise UnsupportedOperationError(
            f"{layer.name}: expected an output that a module gives; the step {node.name!r} is a function. "
            "Write it as a module (nn.ReLU for functional.relu), or choose other layers."
        )
    module = graph.get_submodule(str(node.target))
    calls = [each for each in nodes if each.op == "call_module" and graph.get_submodule(str(each.target)) is module]
    return _Tap(layer.name, module, calls.index(node))
