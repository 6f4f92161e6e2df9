"""Neuron sensitivity: how far an attack moves each unit (Zhang et al. 2020, equations 1 and 11)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.attacks.pairs import Pairs
from engine.errors import InvalidInputError
from engine.network.intervention import outputs_of
from engine.network.trace import Network, trace
from engine.network.units import UnitLayer, find_unit_layers, unit_layers
from engine.progress import Progress, silent
from engine.registry import Value
from engine.sensitivity.ranking import top_units, units_in_share
from engine.sensitivity.stream import PairStream

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LayerSensitivity:
    """How far an attack moves the units of one layer, all of it in means over pairs (x, x').

    Attributes:
        name: of the unit layer (``conv1``, ``conv1:act``).
        values: (U,) sensitivity, ‖F_m(x) − F_m(x')‖₁ / dim(F_m), at least 0.
        ratios: (U,) sensitivity ratio, ‖F_m(x) − F_m(x')‖₁ / ‖F_m(x)‖₁ over the pairs with ‖F_m(x)‖₁ > 0; NaN
            for a unit that no clean image activates.
        left_out: (U,) pairs with ‖F_m(x)‖₁ = 0, which the ratio leaves out.
        by_class: (K, U) sensitivity over the pairs whose attacked copy was misled to class k; NaN where there is none.
        pairs_per_class: (K,) how many these are.
    """

    name: str
    values: Floats
    ratios: Floats
    left_out: Integers
    by_class: Floats
    pairs_per_class: Integers

    @property
    def units(self) -> int:
        """U, the number of units."""
        return len(self.values)

    @property
    def mean_ratio(self) -> float:
        """The mean sensitivity ratio of the units that have one; NaN if none has.

        A single element whose clean value is nearly 0 has a very large ratio, so a linear layer's mean says more about
        such elements than about the layer; a convolution's channels, which the paper looks at, are rarely so quiet.
        """
        known = self.ratios[~np.isnan(self.ratios)]
        return float(known.mean()) if len(known) else float("nan")

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes that copies were misled to."""
        return tuple(np.flatnonzero(self.pairs_per_class).tolist())

    def top(self, k: int) -> Integers:
        """The ids of the k most sensitive units, most sensitive first, the lower id first among equals."""
        return top_units(self.values, k)

    def top_share(self, share: float) -> Integers:
        """The ids of the most sensitive share (0 to 1) of the units, rounded up: at least one unit."""
        return self.top(units_in_share(self.units, share))

    def top_of_class(self, label: int, k: int) -> Integers:
        """The ids of the k units most sensitive to being misled to a class, most sensitive first.

        Raises:
            InvalidInputError: for a class that no copy was misled to.
        """
        if label not in self.classes:
            raise InvalidInputError(f"class: expected one that copies were misled to, {self.classes}; got {label}.")
        return top_units(self.by_class[label], k)


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivity:
    """How far an attack moves the units of a model.

    Attributes:
        layers: in the order asked for, by default that of execution.
        n_pairs: N, how many images and attacked copies it is the mean over.
        attack: name of the attack.
        settings: its settings by name.
        seed: of its random choices.
    """

    layers: tuple[LayerSensitivity, ...]
    n_pairs: int
    attack: str
    settings: Mapping[str, Value]
    seed: int

    def layer(self, name: str) -> LayerSensitivity:
        """The layer of that name.

        Raises:
            InvalidInputError: if there is none; lists those there are.
        """
        found = next((layer for layer in self.layers if layer.name == name), None)
        if found is None:
            known = ", ".join(layer.name for layer in self.layers)
            raise InvalidInputError(f"unit layer: expected one of {known}; got {name!r}.")
        return found


def unit_sensitivity(
    model: nn.Module,
    pairs: Pairs | Iterable[Pairs],
    *,
    layers: Sequence[str] | None = None,
    activated: bool = False,
    progress: Progress = silent,
) -> Sensitivity:
    """Measures the sensitivity of a model's units in one pass over the pairs.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits. It is never modified.
        pairs: images and attacked copies, at once or in parts. Their predictions say which class a copy was misled to,
            so for ``by_class`` they must be this model's own.
        layers: names of unit layers (``conv1``, ``conv1:act``); None takes all weighted layers.
        activated: without ``layers``, whether the units are looked at after the activation.
        progress: called after every batch; may raise Cancelled.

    Raises:
        InvalidInputError: for no pairs, an unknown layer, or a model that gives NaN or infinity; that one names the
            batch.
    """
    stream = PairStream(pairs)
    network = trace(model, stream.image_shape)
    chosen = unit_layers(network, activated=activated) if layers is None else find_unit_layers(network, layers)
    return measure(network, chosen, stream, progress=progress)


def measure(
    network: Network, layers: Sequence[UnitLayer], stream: PairStream, *, progress: Progress = silent
) -> Sensitivity:
    """The sensitivity of the units of given layers of a traced model; see :func:`unit_sensitivity`."""
    if not layers:
        raise InvalidInputError("layers: expected at least one; got none.")
    like = next(network.model.parameters())
    sums = [_Sums(layer, network.n_classes) for layer in layers]
    per_class, done = np.zeros(network.n_classes, np.int64), 0
    for number, batch in enumerate(stream.batches(network, "sensitivity", progress)):
        reached = _classes_reached(batch, network.n_classes)
        clean = outputs_of(network, batch.clean.to(like), layers)
        adversarial = outputs_of(network, batch.adversarial.to(like), layers)
        where = f"batch index {number} (pairs {done} to {done + len(batch) - 1})"
        for total in sums:
            node = total.layer.node
            total.add(clean[node], adversarial[node], batch.misled, reached, where)
        per_class += np.bincount(reached, minlength=network.n_classes)
        done += len(batch)
    first = stream.first
    found = tuple(total.means(done, per_class) for total in sums)
    return Sensitivity(found, done, first.attack, first.settings, first.seed)


class _Sums:
    """Sums over pairs of what is measured at the units of one layer."""

    def __init__(self, layer: UnitLayer, n_classes: int) -> None:
        self.layer = layer
        self.values = np.zeros(layer.units)
        self.ratios = np.zeros(layer.units)
        self.counted = np.zeros(layer.units, np.int64)
        self.by_class = np.zeros((n_classes, layer.units))

    def add(
        self,
        clean: torch.Tensor,
        adversarial: torch.Tensor,
        misled: npt.NDArray[np.bool_],
        reached: Integers,
        where: str,
    ) -> None:
        norm, difference = _norms(clean, self.layer.units), _norms(clean - adversarial, self.layer.units)
        if not (np.isfinite(norm).all() and np.isfinite(difference).all()):
            raise InvalidInputError(
                f"{self.layer.name}: expected finite activations; {where} give NaN or infinity. "
                "Check the model's weights."
            )
        values = difference / (clean[0].numel() // self.layer.units)
        active = norm > 0
        self.values += values.sum(axis=0)
        self.ratios += np.divide(difference, norm, out=np.zeros_like(norm), where=active).sum(axis=0)
        self.counted += active.sum(axis=0)
        np.add.at(self.by_class, reached, values[misled])

    def means(self, n_pairs: int, per_class: Integers) -> LayerSensitivity:
        with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN that is meant
            ratios = self.ratios / self.counted
            by_class = self.by_class / per_class[:, np.newaxis]
        left_out = n_pairs - self.counted
        return LayerSensitivity(self.layer.name, self.values / n_pairs, ratios, left_out, by_class, per_class)


def _norms(outputs: torch.Tensor, units: int) -> Floats:
    """‖F_m‖₁ of each image and unit, (N, U), summed in double precision."""
    return outputs.abs().reshape(len(outputs), units, -1).sum(dim=2, dtype=torch.float64).cpu().numpy()


def _classes_reached(batch: Pairs, n_classes: int) -> Integers:
    """The classes that the misled copies of a batch are taken for."""
    reached = batch.predictions[batch.misled]
    if len(reached) and not 0 <= reached.min() <= reached.max() < n_classes:
        raise InvalidInputError(
            f"pairs: expected predictions from 0 to {n_classes - 1}, as the model's; got {int(reached.max())}."
        )
    return reached
