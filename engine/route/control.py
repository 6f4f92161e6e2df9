"""The control of every experiment on a route: as many units, drawn at random from those that are not on it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from engine.errors import InvalidInputError
from engine.network.intervention import Units


def random_others(
    chosen: Units, sizes: Mapping[str, int], counts: Mapping[str, int] | None = None, *, seed: int = 0, draw: int = 0
) -> dict[str, npt.NDArray[np.int64]]:
    """By layer's name, sorted ids of units drawn without replacement from those not chosen.

    Where fewer others are left than wanted, all of them are taken: compare the lengths.

    Args:
        chosen: by layer's name, the ids of the units on the route.
        sizes: by layer's name, U; may have more layers.
        counts: by layer's name, how many are wanted; as many as are chosen if None.
        seed: the same seed and draw give the same units, for each layer whatever the other layers.
        draw: number of the draw.

    Raises:
        InvalidInputError: for a layer without size.
    """
    drawn = {}
    for name, units in chosen.items():
        if name not in sizes:
            raise InvalidInputError(f"{name}: expected one of the layers {', '.join(sizes)}.")
        others = np.setdiff1d(np.arange(sizes[name], dtype=np.int64), units)
        wanted = len(units) if counts is None else counts[name]
        random = np.random.default_rng([seed, draw, *name.encode()])
        drawn[name] = np.sort(random.choice(others, min(wanted, len(others)), replace=False))
    return drawn


def controls(chosen: Units, sizes: Mapping[str, int], draws: int, seed: int) -> list[dict[str, npt.NDArray[np.int64]]]:
    """Several independent controls.

    Raises:
        InvalidInputError: for fewer than one draw.
    """
    if draws < 1:
        raise InvalidInputError(f"draws: expected at least 1; got {draws}.")
    return [random_others(chosen, sizes, seed=seed, draw=draw) for draw in range(draws)]
