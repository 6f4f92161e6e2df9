"""Which layers a route runs through, which of them it starts from, and how many images fit into memory at once."""

from __future__ import annotations

from collections.abc import Iterable

from engine.errors import InvalidInputError
from engine.network.operations import Kind, Operation
from engine.network.trace import Network
from engine.network.units import UnitLayer, unit_layers

BATCH_IMAGES = 100
#: Elements of all steps of a model together, for all images of a batch: 160 MB in single precision.
BATCH_ELEMENTS = 40_000_000


def route_layers(network: Network) -> tuple[UnitLayer, ...]:
    """The convolutions, each after its own activation where it has one, in execution order.

    Raises:
        InvalidInputError: for a model without convolutions.
    """
    return unit_layers(network, activated=True, convolutions=True)


def named_layers(network: Network, names: Iterable[str]) -> tuple[UnitLayer, ...]:
    """The route layers of these names, in execution order whatever the order of the names.

    Raises:
        InvalidInputError: for a name that is none; lists those that are.
    """
    known = {layer.name: layer for layer in route_layers(network)}
    wanted = set(names)
    for name in sorted(wanted - set(known)):
        raise InvalidInputError(f"layer of a route: expected one of {', '.join(known)}; got {name!r}.")
    return tuple(layer for layer in known.values() if layer.name in wanted)


def convolutions(network: Network) -> tuple[Operation, ...]:
    """The convolutions as steps, in execution order."""
    return tuple(
        operation
        for operation in network.operations.values()
        if operation.kind is Kind.LAYER and operation.layer is not None and not operation.layer.is_linear
    )


def feeding_convolutions(network: Network) -> set[str]:
    """The steps that some convolution depends on, by node; a gate counts as a constant."""
    found: set[str] = set()
    waiting = [source for operation in convolutions(network) for source in operation.inputs]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(network.operations[node].inputs)
    return found


def last_layers(network: Network) -> frozenset[str]:
    """Names of the route layers from which no other convolution is reached; in a chain this is the last one."""
    feeding = feeding_convolutions(network)
    return frozenset(layer.name for layer in route_layers(network) if layer.node not in feeding)


def batch_size(network: Network) -> int:
    """How many images are run together, so that all their activations fit into :data:`BATCH_ELEMENTS`."""
    elements = sum(operation.size for operation in network.operations.values())
    return max(1, min(BATCH_IMAGES, BATCH_ELEMENTS // elements))
