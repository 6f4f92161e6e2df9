"""How hard each image is to attack, told without attacking it (Li et al. 2020, section 5.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from engine.errors import InvalidInputError
from engine.network.intervention import Units

GROUPS = 5
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Hardness:
    """The adversarial hardness of N images, relative to one another.

    Attributes:
        votes: (N,) V, from the number of layers (easy) to N times that (hard).
        order: (N,) int64 rows of the images, hardest first; of equal ones the earlier row first.
    """

    votes: Floats
    order: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Survival:
    """How many images withstand an attack, by hardness.

    Attributes:
        groups: (G,) share of the images of each group that are not misled, easiest group first; NaN for an empty one.
        counts: (G,) int64, images of each group: equal up to one, the first are larger.
    """

    groups: Floats
    counts: npt.NDArray[np.int64]


def hardness(gradients: Mapping[str, Floats], chosen: Units) -> Hardness:
    """V = Σ over layers of an image's vote, its rank among the N images (Li et al. 2020, equations 16 to 18).

    In each layer the image with the highest Σ|∂loss/∂unit| over the route's units gets 1 vote, that with the lowest N;
    images that tie get the mean of their ranks.

    Args:
        gradients: by layer's name, (N, U) Σ|∂loss/∂s| over each unit's elements, on clean images with true labels.
        chosen: by layer's name, the ids of the units on the route.

    Raises:
        InvalidInputError: for a layer of the route without gradients, or no layer.
    """
    missing = [name for name in chosen if name not in gradients]
    if missing or not chosen:
        raise InvalidInputError(f"gradients: expected those of every layer of a route; {missing or 'all'} are missing.")
    votes = np.zeros(len(gradients[next(iter(chosen))]))
    for name, units in chosen.items():
        votes += rankdata(-gradients[name][:, units].sum(axis=1), method="average")
    return Hardness(votes, np.argsort(-votes, kind="stable"))


def survival_by_hardness(misled: npt.NDArray[np.bool_], votes: Floats, groups: int = GROUPS) -> Survival:
    """The share of images that an attack does not mislead, from the easiest group to the hardest.

    Args:
        misled: (N,) whether the attack misled the image.
        votes: (N,) of :func:`hardness`.
        groups: G, how many; 5 gives quintiles.

    Raises:
        InvalidInputError: for fewer than one group, or not as many votes as images.
    """
    if groups < 1 or len(misled) != len(votes):
        raise InvalidInputError(
            f"expected at least 1 group and as many votes as images; got {groups}, {len(votes)} and {len(misled)}."
        )
    parts = np.array_split(~np.asarray(misled)[np.argsort(votes, kind="stable")], groups)
    counts = np.array([len(part) for part in parts], dtype=np.int64)
    return Survival(np.array([part.mean() if len(part) else np.nan for part in parts]), counts)
