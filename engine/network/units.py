"""Units: the channels of a convolution's, or the elements of a linear layer's, output (definitions 4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.errors import InvalidInputError
from engine.network.operations import Kind, Operation
from engine.network.rules import is_activation
from engine.network.trace import Network

ACTIVATED = ":act"
_PASSED = (Kind.SAME_POSITION, Kind.MAX_POOL, Kind.AVERAGE_POOL)


@dataclass(frozen=True, slots=True)
class UnitLayer:
    """The units of one layer, before or after its activation.

    Attributes:
        name: the layer's name; with ``:act`` behind it after the activation.
        layer: the layer's name.
        node: the step of the traced graph that puts the units out.
        shape: (U, H, W) of a convolution's output, (U,) of a linear layer's.
        is_convolution: whether the layer is one.
    """

    name: str
    layer: str
    node: str
    shape: tuple[int, ...]
    is_convolution: bool

    @property
    def units(self) -> int:
        """U, the number of units."""
        return self.shape[0]


def unit_layers(network: Network, *, activated: bool = False, convolutions: bool = False) -> tuple[UnitLayer, ...]:
    """The unit layers of a model, in execution order.

    Args:
        network: the traced model.
        activated: after the activation where a layer has one of its own; a layer without one (the logits, the last
            convolution of a residual block) is given as it is.
        convolutions: leave linear layers out.

    Raises:
        InvalidInputError: for a model without convolutions, where only these are asked for.
    """
    found = []
    for operation in network.operations.values():
        if operation.kind is not Kind.LAYER or operation.layer is None:
            continue
        if operation.layer.is_linear and convolutions:
            continue
        after = activation_of(network, operation) if activated else None
        found.append(_unit_layer(operation, after))
    if convolutions and not found:
        raise InvalidInputError("expected a model with convolutions; it has none.")
    return tuple(found)


def find_unit_layers(network: Network, names: Iterable[str]) -> tuple[UnitLayer, ...]:
    """The unit layers of the given names (``conv1``, ``conv1:act``), in the given order.

    Raises:
        InvalidInputError: for a name that is none; lists those that are.
    """
    known = {each.name: each for flag in (True, False) for each in unit_layers(network, activated=flag)}
    wanted = tuple(names)
    for name in wanted:
        if name not in known:
            raise InvalidInputError(f"unit layer: expected one of {', '.join(sorted(known))}; got {name!r}.")
    return tuple(known[name] for name in wanted)


def activation_of(network: Network, operation: Operation) -> Operation | None:
    """The activation that a layer's output goes through, pooling and dropout between them allowed; None without one.

    An activation that only part of the output's readers see, or that sees a sum with another branch, is not the
    layer's own.
    """
    current = operation
    while True:
        readers = _readers(network, current)
        if len(readers) != 1 or readers[0].kind not in _PASSED:
            return None
        current = readers[0]
        if len(current.shape) != len(operation.shape):  # flattened: its elements are no channels any more
            return None
        if current.kind is Kind.SAME_POSITION and is_activation(network.runner.target(current.node)):
            return current


def check_units(layer: UnitLayer, units: Sequence[int]) -> None:
    """Refuses units that a layer does not have.

    Raises:
        InvalidInputError: naming the first.
    """
    for unit in units:
        if not 0 <= int(unit) < layer.units:
            raise InvalidInputError(f"{layer.name}: expected units 0 to {layer.units - 1}; got {int(unit)}.")


def _readers(network: Network, operation: Operation) -> list[Operation]:
    return [other for other in network.operations.values() if operation.node in other.inputs]


def _unit_layer(operation: Operation, activation: Operation | None) -> UnitLayer:
    assert operation.layer is not None
    shown = operation if activation is None else activation
    name = operation.name if activation is None else operation.name + ACTIVATED
    return UnitLayer(name, operation.name, shown.node, shown.shape, not operation.layer.is_linear)
