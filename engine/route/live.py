"""Interventions on chosen units for an image and its attacked copy, as a person tries them out one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.errors import InvalidInputError
from engine.network.intervention import Edit, Intervention, Units, outputs_of, run_changed, scaled
from engine.network.trace import Network, trace
from engine.network.units import UnitLayer, check_units
from engine.route.connections import connections, weakened
from engine.route.layers import named_layers

InterventionKind = Literal["transplant", "deactivate", "weaken"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Intervened:
    """What an intervention does to N images and their attacked copies.

    Attributes:
        clean_before, clean_after: (N, K) logits of the images.
        adversarial_before, adversarial_after: (N, K) logits of their attacked copies.
        clean, adversarial: the intervention each of them ran under.
        kind: which intervention.
        factor: how much of the original was left.
    """

    clean_before: Floats
    clean_after: Floats
    adversarial_before: Floats
    adversarial_after: Floats
    clean: Intervention
    adversarial: Intervention
    kind: InterventionKind
    factor: float


def intervene(
    model: nn.Module | Network,
    clean: torch.Tensor,
    adversarial: torch.Tensor,
    chosen: Units,
    kind: InterventionKind,
    factor: float = 0.0,
) -> Intervened:
    """Runs images and their attacked copies with some units changed.

    transplant: the chosen units' outputs become those of the other copy: the attacked one gets the clean activations,
    and the clean one the attacked activations; a factor between 0 and 1 mixes in the units' own.
    deactivate: the chosen units' outputs times ``factor``.
    weaken: the weights between chosen units of one layer and chosen units of the next times ``factor``.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits, or that model traced. It is never modified.
        clean, adversarial: (N, C, H, W) in [0, 1].
        chosen: by layer's name, the ids of the units.
        kind: see above.
        factor: 0 to 1; 1 changes nothing.

    Raises:
        InvalidInputError: for an unknown kind, layer or unit, a factor out of range, images of two shapes, or units to
            weaken between which there are no weights.
    """
    kinds = get_args(InterventionKind)
    if kind not in kinds or not 0 <= factor <= 1:
        raise InvalidInputError(
            f"expected one of {', '.join(kinds)}, and a factor from 0 to 1; got {kind!r} and {factor}."
        )
    if clean.ndim != 4 or clean.shape != adversarial.shape:
        raise InvalidInputError(
            f"expected images (N, C, H, W) and as many copies; got {tuple(clean.shape)} and {tuple(adversarial.shape)}."
        )
    shape = (int(clean.shape[1]), int(clean.shape[2]), int(clean.shape[3]))
    network = model if isinstance(model, Network) else trace(model, shape)
    like = next(network.model.parameters())
    images, copies = clean.to(like), adversarial.to(like)
    layers = named_layers(network, chosen)
    for layer in layers:
        check_units(layer, list(chosen[layer.name]))
    if kind == "transplant":
        for_images = _mixed(network, layers, chosen, copies, factor)
        for_copies = _mixed(network, layers, chosen, images, factor)
    else:
        for_images = for_copies = _same_for_both(network, layers, chosen, kind, factor)
    return Intervened(
        _logits(network, images, Intervention()), _logits(network, images, for_images),
        _logits(network, copies, Intervention()), _logits(network, copies, for_copies),
        for_images, for_copies, kind, factor,
    )  # fmt: skip


def _same_for_both(
    network: Network, layers: Sequence[UnitLayer], chosen: Units, kind: InterventionKind, factor: float
) -> Intervention:
    if kind == "deactivate":
        return scaled(layers, chosen, factor)
    links = [link for link in connections(network) if link.within(chosen)]
    if not any(link.weights_between(chosen).any() for link in links):
        raise InvalidInputError(
            "weaken: expected units of a layer and of one that reads it; between the chosen units there are no weights."
        )
    return weakened(links, chosen, factor)


def _mixed(
    network: Network, layers: Sequence[UnitLayer], chosen: Units, donors: torch.Tensor, factor: float
) -> Intervention:
    outputs = outputs_of(network, donors, layers)
    return Intervention({layer.node: _mixing(chosen[layer.name], outputs[layer.node], factor) for layer in layers})


def _mixing(units: npt.NDArray[np.int64], donor: torch.Tensor, factor: float) -> Edit:
    def edit(value: torch.Tensor) -> torch.Tensor:
        rows = torch.as_tensor(units)
        changed = value.clone()
        changed[:, rows] = torch.lerp(donor[:, rows].to(value), value[:, rows], factor)
        return changed

    return edit


def _logits(network: Network, images: torch.Tensor, change: Intervention) -> Floats:
    return run_changed(network, images, change).double().cpu().numpy()
