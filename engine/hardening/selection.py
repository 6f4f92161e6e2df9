"""Which units a loss looks at: the sensitive ones, those of the route, or random ones, by the engine's own analyses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from torch import nn

from engine.attacks.base import Attack
from engine.attacks.pairs import Pairs, attack_pairs, correctly_classified
from engine.datasets.dataset import ImageSet
from engine.errors import InvalidInputError
from engine.hardening.images import ChosenImages
from engine.network.units import UnitLayer
from engine.progress import Progress, span
from engine.route.routes import model_route
from engine.sensitivity.measuring import unit_sensitivity
from engine.sensitivity.ranking import units_in_share

#: Images that are attacked and held in memory at once.
PART = 1000
Units = Mapping[str, npt.NDArray[np.int64]]


def sensitive_units(
    model: nn.Module,
    images: ImageSet,
    attack: Attack,
    layers: Sequence[UnitLayer],
    *,
    share: float,
    n_images: int,
    seed: int,
    progress: Progress,
) -> dict[str, npt.NDArray[np.int64]]:
    """By layer's name, the sorted ids of the most sensitive share of its units (Zhang et al. 2020, equation 1).

    Args:
        model: as it is now; it is left as it was.
        images: of which the first that the model classifies correctly are attacked.
        attack: run untargeted.
        layers: whose units are ranked.
        share: of each layer's units, above 0, up to 1, rounded up.
        n_images: how many images; fewer if there are not so many.
        seed: of the attack.
        progress: may raise Cancelled.

    Raises:
        InvalidInputError: if the model gets no image right.
    """
    parts = attacked_parts(model, images, attack, n_images, seed, progress)
    found = unit_sensitivity(model, parts, layers=[layer.name for layer in layers])
    return {layer.name: np.sort(layer.top_share(share)) for layer in found.layers}


def route_units(
    model: nn.Module, images: ImageSet, attack: Attack, *, n_images: int, seed: int, progress: Progress
) -> dict[str, npt.NDArray[np.int64]]:
    """By layer's name, the sorted ids of the units on the model's route (Li et al. 2020, equations 7 and 8).

    The route is that of the attacked copies of the first images that the model classifies correctly.
    """
    parts = attacked_parts(model, images, attack, n_images, seed, progress)
    return model_route(model, ((part.adversarial, part.labels) for part in parts)).chosen


def random_units(layers: Sequence[UnitLayer], share: float, seed: int) -> dict[str, npt.NDArray[np.int64]]:
    """By layer's name, as many units as :func:`sensitive_units` chooses, drawn at random; their sorted ids."""
    generator = np.random.default_rng(seed)
    return {
        layer.name: np.sort(generator.permutation(layer.units)[: units_in_share(layer.units, share)]).astype(np.int64)
        for layer in layers
    }


def all_units(layers: Sequence[UnitLayer]) -> dict[str, npt.NDArray[np.int64]]:
    """By layer's name, the ids of all its units."""
    return {layer.name: np.arange(layer.units, dtype=np.int64) for layer in layers}


def attacked_parts(
    model: nn.Module, images: ImageSet, attack: Attack, count: int, seed: int, progress: Progress
) -> Iterator[Pairs]:
    """The first ``count`` images that the model classifies correctly with their attacked copies, some at a time."""
    rows = correctly_classified(model, images, count)
    if not len(rows):
        raise InvalidInputError("expected a model that classifies some training images correctly; it gets none right.")
    for first in range(0, len(rows), PART):
        some = rows[first : first + PART]
        report = span(progress, first / len(rows), (first + len(some)) / len(rows))
        yield attack_pairs(
            model, ChosenImages(images, some), attack, n_images=len(some), seed=seed, progress=report
        )  # fmt: skip
