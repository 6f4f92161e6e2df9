"""What the experiments on a route give: each measure for the route beside its control."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A share of images, 0 to 1, for the route and for units drawn from the others.

    Attributes:
        route: (…), the experiment on the route.
        control: (draws, …), the same on each draw of the control.
    """

    route: Floats
    control: Floats

    @property
    def mean(self) -> Floats:
        """(…), the control's mean over its draws."""
        mean: Floats = self.control.mean(axis=0)
        return mean

    @property
    def spread(self) -> Floats:
        """(…), the control's standard deviation over its draws; 0 for a single draw."""
        spread: Floats = self.control.std(axis=0)
        return spread


@dataclass(frozen=True, slots=True, eq=False)
class TransplantOutcome:
    """Misled images given the clean activations at some units.

    Attributes:
        layers: names of the layers whose units were transplanted, together.
        units: how many units of the route.
        control_units: how many units of each draw; fewer than ``units`` where not so many others are left.
        repaired: share of the misled images that are given their label again; NaN without misled images.
    """

    layers: tuple[str, ...]
    units: int
    control_units: int
    repaired: Compared


@dataclass(frozen=True, slots=True, eq=False)
class Transplant:
    """The transplant experiment (Li et al. 2020, figure 3).

    Attributes:
        single: each layer alone, in execution order.
        cumulative: the first layer, the first two, and so on.
        misled: number of misled images.
        seed: of the draws.
    """

    single: tuple[TransplantOutcome, ...]
    cumulative: tuple[TransplantOutcome, ...]
    misled: int
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Deactivation:
    """The units of one layer put out 0 (Li et al. 2020, figure 4a).

    Attributes:
        layer: its name.
        units, control_units: as in :class:`TransplantOutcome`.
        clean: share of the clean images that are given their label; without the experiment it is 1.
        adversarial: share of their attacked copies that are.
        seed: of the draws.
    """

    layer: str
    units: int
    control_units: int
    clean: Compared
    adversarial: Compared
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Weakening:
    """The weights between chosen units of a layer and chosen units that it reads, times β (Li et al. 2020, figure 4b).

    Attributes:
        layers: the layers that are read and, last, the one that reads; all layers of the route, where all their
            connections were weakened together.
        betas: (B,) the factors.
        weights, control_weights: how many kernel elements were multiplied; of the control, in each draw. Where an input
            channel is the sum of several layers' units, it is concerned if one of them is chosen: routes of summed
            layers share more channels than independent draws do, so the control then has more weights.
        clean: (B,) and (draws, B), share of the clean images that are given their label.
        adversarial: likewise of their attacked copies.
        seed: of the draws.
    """

    layers: tuple[str, ...]
    betas: Floats
    weights: int
    control_weights: npt.NDArray[np.int64]
    clean: Compared
    adversarial: Compared
    seed: int
