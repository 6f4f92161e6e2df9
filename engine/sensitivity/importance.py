"""Importance: what each penultimate unit adds to the class an attack leads to (Zhang et al. 2020, equations 3 to 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.attacks.pairs import Pairs
from engine.errors import InvalidInputError
from engine.network.recording import recording
from engine.network.trace import Network, trace
from engine.progress import Progress, silent
from engine.registry import Value
from engine.sensitivity.penultimate import Penultimate, penultimate_units
from engine.sensitivity.ranking import top_units
from engine.sensitivity.stream import PairStream

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
VOTES = 20


@dataclass(frozen=True, slots=True, eq=False)
class Importance:
    """The importance of the penultimate units, by the class that copies were misled to.

    Attributes:
        layer: name of the unit layer.
        k: how many units each image votes for; the number of units where that is less.
        images: (K,) misled copies of each class.
        mean: (K, U) mean importance F_m(x')·W[y, m], in units of the logit; NaN for a class without images.
        votes: (K, U) votes k … 1 that the images gave their most important units, summed.
        attack: name of the attack.
        settings: its settings by name.
        seed: of its random choices.
    """

    layer: str
    k: int
    images: Integers
    mean: Floats
    votes: Integers
    attack: str
    settings: Mapping[str, Value]
    seed: int

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes that copies were misled to."""
        return tuple(np.flatnonzero(self.images).tolist())

    def top(self, label: int) -> Integers:
        """The ids of the k units with most votes for a class, most first, the lower id first among equals.

        Raises:
            InvalidInputError: for a class that no copy was misled to.
        """
        if label not in self.classes:
            raise InvalidInputError(f"class: expected one that copies were misled to, {self.classes}; got {label}.")
        return top_units(self.votes[label], self.k)


def unit_importance(
    model: nn.Module, pairs: Pairs | Iterable[Pairs], *, k: int = VOTES, progress: Progress = silent
) -> Importance:
    """Measures what the penultimate units of a model add to the class that each misled copy is taken for.

    F_m(x') is what the last layer reads of unit m: pooled, where there is a pooling in between. Where it reads several
    elements of a unit (a convolution that is flattened), the importance of the unit is the sum over them.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits, which must come from a linear layer. It is never modified.
        pairs: images and attacked copies with the model's own predictions; those that were not misled are left out.
        k: units each image votes for, at least 1.
        progress: called after every batch; may raise Cancelled.

    Raises:
        InvalidInputError: for no pairs, k below 1, a model whose last step is no linear layer, or one that gives NaN or
            infinity.
    """
    if k < 1:
        raise InvalidInputError(f"k: expected at least 1 unit; got {k}.")
    stream = PairStream(pairs)
    network = trace(model, stream.image_shape)
    end = penultimate_units(network)
    units, k = end.layer.units, min(k, end.layer.units)
    images = np.zeros(network.n_classes, np.int64)
    total, votes = np.zeros((network.n_classes, units)), np.zeros((network.n_classes, units), np.int64)
    for batch in stream.batches(network, "importance", progress):
        misled = batch.of(batch.misled)
        if not len(misled):
            continue
        found = _importance_of(network, end, misled)
        reached = misled.predictions
        np.add.at(images, reached, 1)
        np.add.at(total, reached, found)
        np.add.at(votes, (reached[:, np.newaxis], top_units(found, k)), np.arange(k, 0, -1))
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN that is meant
        mean = total / images[:, np.newaxis]
    first = stream.first
    return Importance(end.layer.name, k, images, mean, votes, first.attack, first.settings, first.seed)


def _importance_of(network: Network, end: Penultimate, pairs: Pairs) -> Floats:
    """The importance (N, U) of the units for the classes that the copies are taken for."""
    if not 0 <= pairs.predictions.min() <= pairs.predictions.max() < network.n_classes:
        raise InvalidInputError(
            f"pairs: expected predictions from 0 to {network.n_classes - 1}, as the model's; "
            f"got {int(pairs.predictions.max())}."
        )
    with recording(network.model, network.runner, frozenset({end.read})) as record:
        read = record(pairs.adversarial.to(next(network.model.parameters())))[end.read]
    parts = read.double() * end.weight[torch.from_numpy(pairs.predictions)].double()
    if not bool(torch.isfinite(parts).all()):
        raise InvalidInputError(
            f"{end.layer.name}: expected finite activations; attacked copies of the images {pairs.indices[0]} to "
            f"{pairs.indices[-1]} give NaN or infinity. Check the model's weights."
        )
    kept = np.flatnonzero(end.unit_of >= 0)
    units = torch.from_numpy(end.unit_of[kept]).to(parts.device)
    found = parts.new_zeros(len(parts), end.layer.units)
    found.index_add_(1, units, parts[:, torch.from_numpy(kept)])
    importance: Floats = found.cpu().numpy()
    return importance
