"""Runs a model with some of its units changed; the model itself is never touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import fx

from engine.errors import InvalidInputError
from engine.network.recording import recording
from engine.network.state import evaluating
from engine.network.trace import Network
from engine.network.units import UnitLayer, check_units

Units = Mapping[str, npt.NDArray[np.int64]]
Edit = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Intervention:
    """What is changed while images run through a model.

    Attributes:
        edits: by node of the traced graph, what the steps after it see instead of its output (N, ...).
        kernels: by node of a layer, the kernel used instead, of the same shape.
    """

    edits: Mapping[str, Edit] = field(default_factory=dict)
    kernels: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def applied(self, network: Network) -> Network:
        """The traced model with these kernels; it shares everything else."""
        if not self.kernels:
            return network
        layers, operations = dict(network.runner.layers), dict(network.operations)
        for node, kernel in self.kernels.items():
            if kernel.shape != layers[node].weight.shape:
                raise InvalidInputError(
                    f"{node}: expected a kernel {tuple(layers[node].weight.shape)}; got {tuple(kernel.shape)}."
                )
            layers[node] = replace(layers[node], weight=kernel)
            operations[node] = replace(operations[node], layer=layers[node])
        return replace(network, operations=operations, runner=replace(network.runner, layers=layers))

    def change(self, node: fx.Node, value: Any) -> Any:
        """What the steps after ``node`` see instead of ``value``."""
        edit = self.edits.get(node.name)
        return value if edit is None else edit(value)


def scaled(layers: Iterable[UnitLayer], units: Units, factor: float) -> Intervention:
    """Multiplies the outputs of the chosen units: 0 deactivates, 1 changes nothing.

    Args:
        layers: the unit layers that ``units`` names.
        units: by unit layer's name, the chosen units.
        factor: what they are multiplied by.
    """
    edits: dict[str, Edit] = {}
    for layer in _named(layers, units):
        check_units(layer, units[layer.name].tolist())
        edits[layer.node] = _scaling(units[layer.name], factor)
    return Intervention(edits)


def transplanted(layers: Iterable[UnitLayer], units: Units, donors: Mapping[str, torch.Tensor]) -> Intervention:
    """Replaces the outputs of the chosen units by those of other images (N, ...), by node, as recorded."""
    edits: dict[str, Edit] = {}
    for layer in _named(layers, units):
        check_units(layer, units[layer.name].tolist())
        edits[layer.node] = _replacing(units[layer.name], donors[layer.node])
    return Intervention(edits)


def run_changed(network: Network, images: torch.Tensor, intervention: Intervention) -> torch.Tensor:
    """The logits (N, classes) of images (N, C, H, W) under an intervention; without gradients, in eval mode."""
    changed = intervention.applied(network)
    with evaluating(network.model), torch.no_grad():
        logits: torch.Tensor = changed.runner.run(images, lambda *_: None, intervention.change)
    return logits


def outputs_of(network: Network, images: torch.Tensor, layers: Iterable[UnitLayer]) -> dict[str, torch.Tensor]:
    """The outputs (N, U, ...) of unit layers, by node, and the logits under the output's node; gradients are off."""
    nodes = frozenset({network.output.node, *(layer.node for layer in layers)})
    with recording(network.model, network.runner, nodes) as record:
        return record(images)


def _named(layers: Iterable[UnitLayer], units: Units) -> list[UnitLayer]:
    by_name = {layer.name: layer for layer in layers}
    unknown = [name for name in units if name not in by_name]
    if unknown:
        raise InvalidInputError(f"unit layer: expected one of {', '.join(by_name)}; got {unknown[0]!r}.")
    return [by_name[name] for name in units]


def _scaling(chosen: npt.NDArray[np.int64], factor: float) -> Edit:
    def edit(value: torch.Tensor) -> torch.Tensor:
        changed = value.clone()
        changed[:, torch.as_tensor(chosen)] *= factor
        return changed

    return edit


def _replacing(chosen: npt.NDArray[np.int64], donor: torch.Tensor) -> Edit:
    def edit(value: torch.Tensor) -> torch.Tensor:
        rows = torch.as_tensor(chosen)
        changed = value.clone()
        changed[:, rows] = donor[:, rows].to(value)
        return changed

    return edit
