"""Experiments on the units of a route over a data set, each beside a control (Li et al. 2020, sections 4.2.2 and 4.3).

The control does the same to as many units that are drawn from those not on the route. The model is never touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.attacks.pairs import Pairs
from engine.network.intervention import Intervention, Units, outputs_of, run_changed, scaled, transplanted
from engine.network.trace import Network, trace
from engine.network.units import UnitLayer
from engine.progress import Progress, silent, span
from engine.route.connections import Connection, connections, weakened
from engine.route.control import controls
from engine.route.layers import batch_size, named_layers
from engine.route.outcomes import Compared, Deactivation, Transplant, TransplantOutcome, Weakening

BETAS = (1.0, 0.75, 0.5, 0.25, 0.0)
DRAWS = 3
Counts = npt.NDArray[np.int64]


def transplant(
    model: nn.Module, pairs: Pairs, chosen: Units, *, draws: int = DRAWS, seed: int = 0, progress: Progress = silent
) -> Transplant:
    """Gives misled images the clean images' activations at the route's units, and counts how many are right again.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits.
        pairs: clean and attacked images; those that the attack did not mislead are left out.
        chosen: by layer's name, the units on the route; better of other images than ``pairs``.
        draws: of the control.
        seed: of the draws.
        progress: called for every batch and experiment; may raise Cancelled.

    Raises:
        InvalidInputError: for a layer or units the model does not have.
    """
    network = _traced(model, pairs)
    layers = named_layers(network, chosen)
    sets = [chosen, *controls(chosen, _sizes(layers), draws, seed)]
    groups = [(layer,) for layer in layers] + [layers[:count] for count in range(2, len(layers) + 1)]
    misled = pairs.of(pairs.misled)
    right = np.zeros((len(groups), len(sets)), dtype=np.int64)
    done = 0
    for batch in misled.batches(batch_size(network)):
        clean, adversarial = _on_device(network, batch)
        donors = outputs_of(network, clean, layers)
        for number, place in enumerate(np.ndindex(right.shape)):
            progress(
                (done + len(batch) * number / right.size) / len(misled), f"transplant {number + 1} of {right.size}"
            )
            group, units = groups[place[0]], sets[place[1]]
            change = transplanted(group, {layer.name: units[layer.name] for layer in group}, donors)
            right[place] += _right(network, adversarial, batch.labels, change)
        done += len(batch)
        progress(done / len(misled), f"transplanted into {done:,} of {len(misled):,} images")
    shares = right / len(misled) if len(misled) else np.full(right.shape, np.nan)
    found = [_transplant_outcome(group, sets, of_group) for group, of_group in zip(groups, shares, strict=True)]
    single = tuple(found[: len(layers)])
    return Transplant(single, (*single[:1], *found[len(layers) :]), len(misled), seed)


def deactivation(
    model: nn.Module, pairs: Pairs, chosen: Units, *, draws: int = DRAWS, seed: int = 0, progress: Progress = silent
) -> tuple[Deactivation, ...]:
    """Sets the outputs of the route's units to 0, layer by layer, and counts who is still given the label.

    Arguments and errors are those of :func:`transplant`; all pairs count.
    """
    network = _traced(model, pairs)
    layers = named_layers(network, chosen)
    sets = [chosen, *controls(chosen, _sizes(layers), draws, seed)]
    changes = (scaled([layer], {layer.name: units[layer.name]}, 0.0) for layer in layers for units in sets)
    shares = _shares_right(network, pairs, changes, len(layers) * len(sets), progress)
    by_layer = shares.reshape(len(layers), len(sets), 2)
    return tuple(
        Deactivation(
            layer.name, len(chosen[layer.name]), len(sets[1][layer.name]),
            _compared(of_layer[:, 0]), _compared(of_layer[:, 1]), seed,
        )
        for layer, of_layer in zip(layers, by_layer, strict=True)
    )  # fmt: skip


def weakening(
    model: nn.Module,
    pairs: Pairs,
    chosen: Units,
    *,
    betas: Sequence[float] = BETAS,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Weakening, ...]:
    """Multiplies the weights between units of the route by β, and counts who is still given the label.

    One experiment for each convolution that reads units of others, and where there are several one on all of them
    together. Arguments and errors are those of :func:`transplant`; all pairs count.

    Args:
        betas: the factors; 1 changes nothing, 0 cuts the connections.
    """
    network = _traced(model, pairs)
    layers = named_layers(network, chosen)
    sets = [chosen, *controls(chosen, _sizes(layers), draws, seed)]
    links = [link for link in connections(network) if link.within(chosen)]
    groups = [[link] for link in links] + ([links] if len(links) > 1 else [])
    found = []
    for number, group in enumerate(groups):
        changes = (weakened(group, units, beta) for units in sets for beta in betas)
        report = span(progress, number / len(groups), (number + 1) / len(groups))
        shares = _shares_right(network, pairs, changes, len(sets) * len(betas), report)
        by_set = shares.reshape(len(sets), len(betas), 2)
        weights = np.array([_weights(group, units) for units in sets], dtype=np.int64)
        found.append(
            Weakening(
                _names(group, layers, chosen), np.array(betas, dtype=np.float64), int(weights[0]), weights[1:],
                _compared(by_set[..., 0]), _compared(by_set[..., 1]), seed,
            )
        )  # fmt: skip
    return tuple(found)


def _traced(model: nn.Module, pairs: Pairs) -> Network:
    shape = pairs.clean.shape
    return trace(model, (int(shape[1]), int(shape[2]), int(shape[3])))


def _on_device(network: Network, batch: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
    like = next(network.model.parameters())
    return batch.clean.to(like), batch.adversarial.to(like)


def _sizes(layers: Sequence[UnitLayer]) -> dict[str, int]:
    return {layer.name: layer.units for layer in layers}


def _right(network: Network, images: torch.Tensor, labels: Counts, change: Intervention) -> int:
    """How many are given their label; a prediction of NaN is none."""
    logits = run_changed(network, images, change)
    sound = torch.isfinite(logits).all(dim=1).cpu().numpy()
    return int((sound & (logits.argmax(dim=1).cpu().numpy() == labels)).sum())


def _shares_right(
    network: Network, pairs: Pairs, changes: Iterable[Intervention], count: int, progress: Progress
) -> npt.NDArray[np.float64]:
    """(count, 2): under each change the share of clean images, and of attacked ones, that are given their label.

    One change is held at a time: it may carry a copy of all kernels.
    """
    right = np.zeros((count, 2), dtype=np.int64)
    for number, change in enumerate(changes):
        for batch in pairs.batches(batch_size(network)):
            for place, images in enumerate(_on_device(network, batch)):
                right[number, place] += _right(network, images, batch.labels, change)
            progress(number / count, f"experiment {number + 1} of {count}")
        progress((number + 1) / count, f"experiment {number + 1} of {count}")
    return right / len(pairs)


def _compared(shares: npt.NDArray[np.float64]) -> Compared:
    """The first row is the route's, the others the control's."""
    return Compared(shares[0], shares[1:])


def _transplant_outcome(
    group: Sequence[UnitLayer], sets: Sequence[Units], shares: npt.NDArray[np.float64]
) -> TransplantOutcome:
    names = tuple(layer.name for layer in group)
    units, control = (sum(len(each[name]) for name in names) for each in sets[:2])
    return TransplantOutcome(names, units, control, _compared(shares))


def _weights(group: Sequence[Connection], units: Units) -> int:
    """How many kernel elements are weakened."""
    return sum(
        int(link.weights_between(units).sum()) * link.layer.shape.kernel_height * link.layer.shape.kernel_width
        for link in group
    )


def _names(group: Sequence[Connection], layers: Sequence[UnitLayer], chosen: Units) -> tuple[str, ...]:
    if len(group) > 1:
        return tuple(layer.name for layer in layers)
    return (*(name for name in group[0].sources if name in chosen), group[0].reader.name)
