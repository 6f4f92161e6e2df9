"""Axes of values that may span orders of magnitude."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

#: A key of four entries in the smallest card: from the card's edge, in a small font.
WIDE_KEY: Final[dict[str, Any]] = {
    "traceorder": "normal",
    "font": {"size": 12},
    **{"xref": "container", "x": 0, "yref": "container", "y": 1, "yanchor": "top"},
}
#: Values whose largest is more than this many times their smallest have a logarithmic axis.
LOGARITHMIC_FROM: Final = 30.0
# Steps of the ticks within a decade, up to a number of decades; beyond it, whole decades.
_STEPS: Final = ((1.7, (1, 2, 5)), (3.5, (1, 3)), (np.inf, (1,)))
_MOST_TICKS: Final = 7

Numbers = Sequence[float | None] | npt.NDArray[np.floating]


def numbers(values: Numbers | Sequence[Numbers]) -> npt.NDArray[np.float64]:
    """Values of a report as an array of the same shape, missing ones (None) as NaN."""
    return np.array(values, dtype=np.float64)


def value_axis(values: Iterable[float]) -> dict[str, Any]:
    """Settings of an axis for values of 0 or more: from zero on, or logarithmic where they span more than 30 times.

    A value of 0 has no place on a logarithmic axis, so that with one the axis is linear. NaN counts for nothing.
    """
    finite = np.array([value for value in values if np.isfinite(value)], dtype=np.float64)
    if not len(finite) or finite.min() <= 0 or finite.max() <= LOGARITHMIC_FROM * finite.min():
        return {"type": "linear", "rangemode": "tozero"}
    low, high = float(np.log10(finite.min())), float(np.log10(finite.max()))
    pad = 0.05 * (high - low)
    ticks = _ticks(low - pad, high + pad)
    texts = [_text(tick) for tick in ticks]
    return {"type": "log", "range": [low - pad, high + pad], "tickvals": ticks, "ticktext": texts}


def share_axis(values: Iterable[float]) -> dict[str, Any]:
    """Settings of an axis of shares of images, in percent: it holds all values, and a tenth at least."""
    finite = [value for value in values if np.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    middle = float(np.clip((low + high) / 2, 0.05, 0.95))
    low, high = min(low, middle - 0.05), max(high, middle + 0.05)
    pad = 0.06 * (high - low)
    return {"range": [low - pad, high + pad], "tickformat": "~%", "zeroline": False}


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two powers of ten."""
    steps = next(steps for most, steps in _STEPS if high - low <= most)
    decades = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    ticks = [float(f"{step}e{decade}") for decade in decades for step in steps]
    inside = [tick for tick in ticks if low <= np.log10(tick) <= high]
    return inside[:: -(-len(inside) // _MOST_TICKS)] if steps == (1,) else inside


def _text(tick: float) -> str:
    """A tick as it is written: as a power of ten where zeros would have to be counted."""
    if 0.0001 <= tick < 100_000:
        return f"{tick:g}"
    factor, _, exponent = f"{tick:.0e}".partition("e")
    power = f"10<sup>{int(exponent)}</sup>".replace("-", "−")
    return power if factor == "1" else f"{factor}·{power}"
