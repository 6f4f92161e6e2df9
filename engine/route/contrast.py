"""Whether the units on a route differ from the others: in sensitivity, in gradient (Li et al. 2020, figure 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import mannwhitneyu

from engine.errors import InvalidInputError
from engine.network.intervention import Units

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LayerContrast:
    """A measure of the units of one layer, on the route against off it.

    Attributes:
        layer: name of the unit layer.
        on, off: mean over the units on the route, and over the others; NaN where there are none.
        ratio: on / off; NaN where ``off`` is 0.
        p: of the two-sided Mann-Whitney test that both have the same distribution; NaN where a side has no units.
    """

    layer: str
    on: float
    off: float
    ratio: float
    p: float


def contrast(values: Mapping[str, Floats], chosen: Units) -> tuple[LayerContrast, ...]:
    """A measure on the route against off it, layer by layer.

    Args:
        values: by unit layer's name, the measure of each of its units (U,); layers that ``chosen`` lacks are left out.
        chosen: by unit layer's name, the ids of the units on the route.

    Raises:
        InvalidInputError: if a layer of the route has no values, or too few.
    """
    found = []
    for name, units in chosen.items():
        if name not in values or (len(units) and int(units.max()) >= len(values[name])):
            raise InvalidInputError(f"{name}: expected a value for each of its units; the measure has too few.")
        on_route = np.isin(np.arange(len(values[name])), units)
        found.append(_of_layer(name, values[name][on_route], values[name][~on_route]))
    return tuple(found)


def _of_layer(name: str, on: Floats, off: Floats) -> LayerContrast:
    means = [float(side.mean()) if len(side) else math.nan for side in (on, off)]
    ratio = means[0] / means[1] if means[1] else math.nan
    p = float(mannwhitneyu(on, off).pvalue) if len(on) and len(off) else math.nan
    return LayerContrast(name, means[0], means[1], ratio, p)
