"""The penultimate units: those whose output the last linear layer reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from engine.errors import InvalidInputError
from engine.network.operations import Kind, Operation
from engine.network.rules import is_activation
from engine.network.trace import Network
from engine.network.units import UnitLayer, unit_layers

_POOLS = (Kind.AVERAGE_POOL, Kind.MAX_POOL)
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Penultimate:
    """How the logits come from the penultimate units.

    Attributes:
        layer: the units, after their activation; where a sum or a concatenation gives them, its channels.
        read: node of the step whose D elements the last layer reads.
        unit_of: (D,) the unit that each of these elements comes from; −1 for padding.
        weight: (K, D) of the last layer.
    """

    layer: UnitLayer
    read: str
    unit_of: Integers
    weight: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A step on the way back, and where in its output each element that the last layer reads comes from."""

    operation: Operation
    positions: Integers  # (D,), −1 for padding


def penultimate_units(network: Network) -> Penultimate:
    """Goes back from the last layer through pooling, flattening, dropout and activation to the units it reads.

    Raises:
        InvalidInputError: if the logits do not come from a linear layer, or that reads the image itself.
    """
    output = network.output
    if output.kind is not Kind.LAYER or output.layer is None or not output.layer.is_linear:
        raise InvalidInputError(
            f"importance: expected a model whose logits come from a linear layer; here {output.name} "
            f"({output.kind.value}) gives them. Choose a model that ends in a linear layer."
        )
    steps = _way_back(network, network.operations[output.inputs[0]])
    last = steps[-1].operation
    if last.kind is Kind.INPUT:
        raise InvalidInputError(
            f"importance: expected a layer before {output.name}, which gives the logits; it reads the image itself."
        )
    layer = _layer_of(network, steps)
    positions = next(step.positions for step in steps if step.operation.node == layer.node)
    per_unit = network.operations[layer.node].size // layer.units
    unit_of = np.where(positions < 0, -1, positions // per_unit)
    return Penultimate(layer, steps[0].operation.node, unit_of, output.layer.weight.detach().flatten(1))


def _way_back(network: Network, read: Operation) -> list[_Step]:
    steps, pooled = [_Step(read, np.arange(read.size))], False
    while True:
        step = steps[-1]
        operation = step.operation
        if len(operation.inputs) != 1 or operation.kind in (Kind.LAYER, Kind.ADD):
            return steps
        before = network.operations[operation.inputs[0]]
        pooled = pooled or operation.kind in _POOLS
        # Behind a pooling a position stands for its whole channel, so channels must stay what they are.
        if pooled and (operation.kind is Kind.ROUTE or before.shape[:1] != operation.shape[:1]):
            return steps
        steps.append(_Step(before, _positions_before(step, before)))


def _positions_before(step: _Step, before: Operation) -> Integers:
    operation, positions = step.operation, step.positions
    if operation.kind in _POOLS:
        channel = positions // (operation.size // operation.shape[0])
        return np.where(positions < 0, -1, channel * (before.size // before.shape[0]))
    if operation.sources is not None:
        return np.where(positions < 0, -1, operation.sources[positions])
    return positions


def _layer_of(network: Network, steps: list[_Step]) -> UnitLayer:
    last = steps[-1].operation
    if last.kind is Kind.LAYER:
        return next(each for each in unit_layers(network, activated=True) if each.layer == last.name)
    shown = last
    for step in steps:
        operation = step.operation
        if operation.kind is Kind.SAME_POSITION and is_activation(network.runner.target(operation.node)):
            shown = operation  # the last one found is the first after the sum
    return UnitLayer(shown.name, shown.name, shown.node, shown.shape, len(shown.shape) == 3)
