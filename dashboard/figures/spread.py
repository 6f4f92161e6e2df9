"""Mean and range of a control's draws."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dashboard.figures.axes import Numbers, numbers


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """What the draws of a control gave at each of N points; NaN where no draw has a value.

    Attributes:
        mean: (N,) over the draws.
        low, high: (N,) the smallest and the largest of them.
        draws: how many there are.
    """

    mean: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    draws: int


def spread(draws: Sequence[Numbers], points: int) -> Spread:
    """Mean and range over the draws, at each point.

    Args:
        draws: (D, N) a list of N values for each draw, None where one is missing; D may be 0.
        points: N.

    Raises:
        ValueError: when a draw has another number of values.
    """
    values = numbers(draws) if len(draws) else np.empty((0, points))
    if values.shape[1:] != (points,):
        raise ValueError(f"Expected {points} values in each draw of the control, got an array of shape {values.shape}.")
    known = [column[np.isfinite(column)] for column in values.T]
    mean, low, high = (
        np.array([end(column) if len(column) else np.nan for column in known], dtype=np.float64)
        for end in (np.mean, np.min, np.max)
    )
    return Spread(mean, low, high, len(values))
