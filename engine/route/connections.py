"""Which units each convolution reads, and kernels whose weights between chosen units are scaled.

Between two convolutions there may be activations and poolings (a channel stays itself), sums with another branch (a
channel then carries a unit of each) and concatenations (a channel changes its number).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from engine.network.intervention import Intervention, Units
from engine.network.operations import Kind, Layer, Operation
from engine.network.trace import Network
from engine.network.units import UnitLayer, check_units
from engine.route.layers import convolutions, feeding_convolutions, route_layers

Flags = npt.NDArray[np.bool_]
Carried = dict[str, Flags]


@dataclass(frozen=True, slots=True, eq=False)
class Connection:
    """The weights of one convolution that read units of others.

    Attributes:
        node: of the convolution's step.
        reader: its own units.
        carried: by the source's name, (U, C) bool: whether the input channel carries the source's unit.
        layer: its weights.
    """

    node: str
    reader: UnitLayer
    carried: Mapping[str, Flags]
    layer: Layer

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the unit layers it reads, in execution order."""
        return tuple(self.carried)

    def within(self, units: Units) -> bool:
        """Whether it links units of these layers: has its reader and one of its sources among them."""
        return self.reader.name in units and any(name in units for name in self.sources)

    def weights_between(self, units: Units) -> Flags:
        """(O, C/groups) bool: the kernels between a chosen input unit and a chosen output unit."""
        channels = np.zeros(next(iter(self.carried.values())).shape[1], dtype=np.bool_)
        for name, carried in self.carried.items():
            if name in units:
                channels |= carried[units[name]].any(axis=0)
        shape = self.layer.shape
        groups = np.arange(shape.out_channels) // (shape.out_channels // shape.groups)
        read = groups[:, None] * shape.in_channels_per_group + np.arange(shape.in_channels_per_group)
        on_output = np.isin(np.arange(shape.out_channels), units.get(self.reader.name, ()))
        between: Flags = channels[read] & on_output[:, None]
        return between


def connections(network: Network) -> tuple[Connection, ...]:
    """The convolutions that read units of other convolutions, in execution order.

    Raises:
        InvalidInputError: for a model without convolutions.
    """
    layers = route_layers(network)
    carried = _carried(network, layers)
    found = []
    for operation, layer in zip(convolutions(network), layers, strict=True):
        read = carried[operation.inputs[0]]
        sources = {each.name: read[each.name] for each in layers if each.name in read}
        if sources and operation.layer is not None:
            found.append(Connection(operation.node, layer, sources, operation.layer))
    return tuple(found)


def weakened(links: Iterable[Connection], units: Units, factor: float) -> Intervention:
    """Multiplies the weights between chosen units: 0 cuts the connections, 1 changes nothing.

    Args:
        links: the connections to weaken, as :func:`connections` gives them.
        units: by unit layer's name, the chosen units; a weight is concerned where its input channel carries one and its
            output channel is one.
        factor: what the weights are multiplied by.

    Raises:
        InvalidInputError: for units that a layer does not have.
    """
    kernels = {}
    for link in links:
        check_units(link.reader, list(units.get(link.reader.name, ())))
        kernel = link.layer.weight.clone()
        kernel[torch.from_numpy(link.weights_between(units)).to(kernel.device)] *= factor
        kernels[link.node] = kernel
    return Intervention(kernels=kernels)


def _carried(network: Network, layers: tuple[UnitLayer, ...]) -> dict[str, Carried]:
    """By node of a step that a convolution depends on: by unit layer's name, (U, channels) bool."""
    by_node = {layer.node: layer for layer in layers}
    feeding = feeding_convolutions(network)
    carried: dict[str, Carried] = {}
    for node, operation in network.operations.items():
        if node not in feeding:
            continue
        if node in by_node:
            carried[node] = {by_node[node].name: np.eye(by_node[node].units, dtype=np.bool_)}
        elif operation.kind in (Kind.INPUT, Kind.LAYER):
            carried[node] = {}
        else:
            carried[node] = _passed_on(network, operation, carried)
    return carried


def _passed_on(network: Network, operation: Operation, carried: Mapping[str, Carried]) -> Carried:
    found: Carried = {}
    for source, moved in zip(operation.inputs, _channel_moves(network, operation), strict=True):
        for name, channels in carried[source].items():
            there = channels if moved is None else channels @ moved
            found[name] = found[name] | there if name in found else there
    return found


def _channel_moves(network: Network, operation: Operation) -> list[Flags | None]:
    """For each input (channels before, after) bool: whether elements go from one to the other; None: all stay."""
    inputs = [network.operations[source] for source in operation.inputs]
    if operation.sources is None and all(each.shape[0] == operation.shape[0] for each in inputs):
        return [None] * len(inputs)
    sources = np.arange(operation.size) if operation.sources is None else operation.sources
    after = np.arange(operation.size) // (operation.size // operation.shape[0])
    moves: list[Flags | None] = []
    begin = 0
    for each in inputs:
        here = (sources >= begin) & (sources < begin + each.size)
        before = (sources[here] - begin) // (each.size // each.shape[0])
        move = np.zeros((each.shape[0], operation.shape[0]), dtype=np.bool_)
        move[before, after[here]] = True
        moves.append(move)
        begin += each.size
    return moves
