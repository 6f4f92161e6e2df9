"""Suppression: what becomes of a model whose most sensitive units are damped (Zhang et al. 2020, section IV-D)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.attacks.pairs import Pairs
from engine.errors import InvalidInputError
from engine.network.intervention import Intervention, Units, run_changed, scaled
from engine.network.trace import Network, trace
from engine.network.units import UnitLayer, find_unit_layers, unit_layers
from engine.progress import Progress, silent
from engine.sensitivity.measuring import Sensitivity
from engine.sensitivity.ranking import units_in_share
from engine.sensitivity.stream import PairStream

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
ALL_LAYERS = "all layers"
BETAS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class Suppression:
    """Accuracy with some units of one layer, or of all, multiplied by β: the share of images given their label.

    Attributes:
        layer: name of the unit layer by whose sensitivity the units were chosen, or :data:`ALL_LAYERS`.
        betas: (B,) what the outputs of the units are multiplied by.
        sensitive: by unit layer after the activation, ids of the most sensitive units.
        control: for each draw likewise, ids of as many other units.
        is_disjoint: whether the control holds no sensitive unit; false where a layer has too few others, which is then
            drawn from all its units.
        sensitive_clean, sensitive_adversarial: (B,) accuracy on clean images and attacked copies, sensitive units
            damped.
        control_clean, control_adversarial: (draws, B) the same, units of the control damped.
        share: of the units of a layer.
        seed: of the control.
    """

    layer: str
    betas: Floats
    sensitive: Units
    control: tuple[Units, ...]
    is_disjoint: bool
    sensitive_clean: Floats
    sensitive_adversarial: Floats
    control_clean: Floats
    control_adversarial: Floats
    share: float
    seed: int

    @property
    def units(self) -> int:
        """How many units are damped."""
        return sum(len(chosen) for chosen in self.sensitive.values())


def suppress(
    model: nn.Module,
    pairs: Pairs | Iterable[Pairs],
    sensitivity: Sensitivity,
    *,
    layers: Sequence[str] | None = None,
    share: float = 0.1,
    betas: Sequence[float] = BETAS,
    draws: int = 3,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Suppression, ...]:
    """Damps the most sensitive units of each layer, then those of all layers at once, and as many others as a control.

    The units are multiplied after their activation, also where their sensitivity was measured before it. The attacked
    copies stay as they are: they were made for the model as it is.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits. It is never modified.
        pairs: images and attacked copies.
        sensitivity: by which the units are chosen.
        layers: names in ``sensitivity``; None takes all but the layer that gives the logits.
        share: of the units of each layer, above 0, up to 1; rounded up.
        betas: factors from 0 to 1.
        draws: how many controls, at least 1.
        seed: of the controls.
        progress: called after every batch; may raise Cancelled.

    Returns:
        one for each layer, then one for all at once if there are several; nothing for a model that has no layer but
        that of the logits.

    Raises:
        InvalidInputError: for no pairs, an unknown layer, or a setting out of range.
    """
    check_suppression(share, betas, draws)
    stream = PairStream(pairs)
    network = trace(model, stream.image_shape)
    chosen = [_choose(network, sensitivity, name, share, draws, seed) for name in _names(network, sensitivity, layers)]
    if len(chosen) > 1:
        chosen.append(_together(chosen))
    counts, n_pairs = _correct(network, stream, chosen, betas, progress)
    factors = np.array(betas, np.float64)
    return tuple(
        Suppression(
            one.layer, factors, one.sensitive, one.control, one.is_disjoint,
            found[0, 0], found[0, 1], found[1:, 0], found[1:, 1], share, seed,
        )
        for one, found in zip(chosen, counts / n_pairs, strict=True)
    )  # fmt: skip


def check_suppression(share: float, betas: Sequence[float], draws: int) -> None:
    """Raises InvalidInputError unless the share is above 0, up to 1, factors are 0 to 1, and there is a draw."""
    units_in_share(1, share)
    if not betas or not all(0 <= beta <= 1 for beta in betas):
        raise InvalidInputError(f"betas: expected one or more factors from 0 to 1; got {list(betas)}.")
    if draws < 1:
        raise InvalidInputError(f"draws: expected at least 1; got {draws}.")


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """The units of one comparison."""

    layer: str
    sensitive: Units
    control: tuple[Units, ...]
    is_disjoint: bool


def _names(network: Network, sensitivity: Sensitivity, wanted: Sequence[str] | None) -> list[str]:
    if wanted is not None:
        return [sensitivity.layer(name).name for name in wanted]
    names = [layer.name for layer in sensitivity.layers]
    layers = find_unit_layers(network, names)
    return [layer.name for layer in layers if layer.layer != network.output.name]


def _choose(network: Network, sensitivity: Sensitivity, name: str, share: float, draws: int, seed: int) -> _Choice:
    measured = sensitivity.layer(name)
    damped = _after_activation(network, find_unit_layers(network, [name])[0])
    sensitive = measured.top_share(share)
    others = np.setdiff1d(np.arange(measured.units), sensitive)
    is_disjoint = len(others) >= len(sensitive)
    pool = others if is_disjoint else np.arange(measured.units)
    # The place of the layer in the model makes the draw independent of the other layers that are asked for.
    place = network.layers.index(damped.layer)
    control = tuple(
        {damped.name: np.sort(np.random.default_rng([seed, draw, place]).choice(pool, len(sensitive), replace=False))}
        for draw in range(draws)
    )
    return _Choice(name, {damped.name: np.sort(sensitive)}, control, is_disjoint)


def _after_activation(network: Network, layer: UnitLayer) -> UnitLayer:
    return next(each for each in unit_layers(network, activated=True) if each.layer == layer.layer)


def _together(chosen: Sequence[_Choice]) -> _Choice:
    def merged(parts: Iterable[Units]) -> Units:
        return {name: units for part in parts for name, units in part.items()}

    control = tuple(merged(draw) for draw in zip(*(one.control for one in chosen), strict=True))
    sensitive = merged(one.sensitive for one in chosen)
    return _Choice(ALL_LAYERS, sensitive, control, all(one.is_disjoint for one in chosen))


def _correct(
    network: Network, stream: PairStream, chosen: Sequence[_Choice], betas: Sequence[float], progress: Progress
) -> tuple[Integers, int]:
    """How many images are given their label, (choices, 1 + draws, clean and adversarial, B), and how many there are."""
    layers, like, done = unit_layers(network, activated=True), next(network.model.parameters()), 0
    groups = [(one.sensitive, *one.control) for one in chosen]
    counts = np.zeros((len(chosen), len(groups[0]) if groups else 1, 2, len(betas)), np.int64)
    for batch in stream.batches(network, "suppression", silent):
        labels = torch.from_numpy(batch.labels).to(like.device)
        for side, images in enumerate((batch.clean.to(like), batch.adversarial.to(like))):
            undamped = _right(network, images, labels, Intervention())
            for place, group in enumerate(groups):
                for at, units in enumerate(group):
                    counts[place, at, side] += [
                        undamped if beta == 1 else _right(network, images, labels, scaled(layers, units, beta))
                        for beta in betas
                    ]
                within = (side + (place + 1) / len(groups)) / 2
                fraction = 0.0 if stream.total is None else (done + within * len(batch)) / stream.total
                progress(fraction, f"suppression of {chosen[place].layer}, pairs from {done:,}")
        done += len(batch)
    return counts, done


def _right(network: Network, images: torch.Tensor, labels: torch.Tensor, intervention: Intervention) -> int:
    return int((run_changed(network, images, intervention).argmax(dim=1) == labels).sum())
