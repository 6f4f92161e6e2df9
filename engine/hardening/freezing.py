"""Which parts of a model come before a layer, and keeping them as they are while the rest trains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx, nn

from engine.network.trace import Network
from engine.network.units import UnitLayer


@dataclass(frozen=True, slots=True)
class Frozen:
    """What of a model does not train.

    Attributes:
        layers: names of the weighted layers.
        modules: paths of the modules that stay in eval mode, so that their running statistics stay too.
        parameters: names of the parameters that stay.
    """

    layers: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()


def frozen_before(network: Network, layer: UnitLayer) -> Frozen:
    """Everything that is executed before a layer, and not again at it or behind it."""
    nodes: list[fx.Node] = list(network.runner.module.graph.nodes)
    places = {node.name: place for place, node in enumerate(nodes)}
    own = next(operation.node for operation in network.operations.values() if operation.name == layer.layer)
    limit, last = places[own], _last_uses(network)
    return Frozen(
        tuple(
            operation.name
            for operation in network.operations.values()
            if operation.layer is not None and places[operation.node] < limit
        ),
        tuple(name for name, module in network.model.named_modules() if last.get(id(module), limit) < limit),
        tuple(name for name, value in network.model.named_parameters() if last.get(id(value), limit) < limit),
    )


@contextmanager
def freezing(model: nn.Module, frozen: Frozen) -> Iterator[None]:
    """Inside the block the frozen parameters take no gradient; after it each is as it was."""
    parameters = [model.get_parameter(name) for name in frozen.parameters]
    flags = [parameter.requires_grad for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, flag in zip(parameters, flags, strict=True):
            parameter.requires_grad_(flag)


def training_mode(model: nn.Module, frozen: Frozen) -> None:
    """Puts a model in train mode, all but its frozen modules: their batch norms keep their running statistics."""
    model.train()
    for name in frozen.modules:
        model.get_submodule(name).eval()


def kernel_of(network: Network, node: str) -> Tensor:
    """The parameter that is the kernel of a layer's step, before any batch norm is folded into it."""
    step = next(each for each in network.runner.module.graph.nodes if each.name == node)
    if step.op == "call_module":
        weight: Tensor = network.runner.module.get_submodule(str(step.target)).weight  # type: ignore[assignment]
        return weight
    source = step.kwargs.get("weight", step.args[1] if len(step.args) > 1 else None)
    assert isinstance(source, fx.Node), "the weights of a traced layer are stored"
    found: Tensor = _stored(network, source)
    return found


def _last_uses(network: Network) -> dict[int, int]:
    """By identity of a module or parameter, the last step that uses it."""
    nodes = list(network.runner.module.graph.nodes)
    places = {node: place for place, node in enumerate(nodes)}
    last: dict[int, int] = {}
    for place, node in enumerate(nodes):
        if node.op == "call_module":
            module = network.runner.module.get_submodule(str(node.target))
            last |= {id(used): max(place, last.get(id(used), 0)) for used in (module, *module.parameters())}
        elif node.op == "get_attr":
            key = id(_stored(network, node))
            last[key] = max(last.get(key, 0), *(places[user] for user in node.users), place)
    return last


def _stored(network: Network, node: fx.Node) -> Any:
    owner, _, name = str(node.target).rpartition(".")
    return getattr(network.runner.module.get_submodule(owner), name)
