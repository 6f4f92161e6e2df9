"""Which units come first: the k with the largest values, or a share of all."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from engine.errors import InvalidInputError


def top_units(values: npt.NDArray[np.float64] | npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    """The ids of the k units with the largest values, largest first, the lower id first among equals.

    Args:
        values: (U,) of the units, or (N, U) of several lists.
        k: at least 1; where there are fewer units, all are given.

    Returns:
        (min(k, U),), or (N, min(k, U)).

    Raises:
        InvalidInputError: for k below 1.
    """
    if k < 1:
        raise InvalidInputError(f"k: expected at least 1 unit; got {k}.")
    return np.argsort(-values, axis=-1, kind="stable")[..., :k].astype(np.int64)


def units_in_share(units: int, share: float) -> int:
    """How many units a share of them is: rounded up, so that it is at least one.

    Raises:
        InvalidInputError: for a share that is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise InvalidInputError(f"share: expected a number above 0, up to 1; got {share}.")
    return math.ceil(round(share * units, 9))  # 0.07 · 100 is 7.000000000000001
