"""The contrast between classification f₁(x) and interpretation f₂(m), by the measures of Nguyen et al. 2017."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.errors import InvalidInputError

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Contrast:
    """Shares in [0, 1]; NaN where there is no image to take them of.

    Attributes:
        normal, attacked: numbers of images.
        true_positive: of the adversarial images, those called adversarial: f₂(m') ≠ f₁(x').
        true_negative: of the normal images, those called normal: f₂(m) = f₁(x).
        recovery: of the adversarial images, those whose mask still shows the true class: f₂(m') = y.
        invariance: of the adversarial images, those whose mask keeps its class: f₂(m') = f₂(m).
    """

    normal: int
    attacked: int
    true_positive: float
    true_negative: float
    recovery: float
    invariance: float


@dataclass(frozen=True, slots=True, eq=False)
class MaskClasses:
    """What both classifiers say of N images and their masks; every image is called by its label y by f₁.

    Attributes:
        predictions: (N,) f₁(x).
        masks: (N,) f₂(m).
    """

    predictions: Integers
    masks: Integers


def contrast(normal: MaskClasses, attacked: MaskClasses, origins: Integers) -> tuple[Contrast, Contrast]:
    """Measures it over all images, and over those whose clean mask is classified correctly.

    Args:
        normal: N normal images that f₁ classifies correctly, so that its predictions are their classes.
        attacked: M adversarial images.
        origins: (M,) which of the N images each was made from.

    Raises:
        InvalidInputError: if an origin is none of the normal images.
    """
    if len(origins) and not 0 <= origins.min() <= origins.max() < len(normal.predictions):
        raise InvalidInputError(f"origins: expected places among {len(normal.predictions)} normal images.")
    right = normal.masks == normal.predictions
    every = np.ones(len(right), bool)
    return _over(every, normal, attacked, origins), _over(right, normal, attacked, origins)


def _over(kept: npt.NDArray[np.bool_], normal: MaskClasses, attacked: MaskClasses, origins: Integers) -> Contrast:
    there = kept[origins]
    masks, predictions, origin = attacked.masks[there], attacked.predictions[there], origins[there]
    return Contrast(
        normal=int(kept.sum()),
        attacked=int(there.sum()),
        true_positive=_share(masks != predictions),
        true_negative=_share(normal.masks[kept] == normal.predictions[kept]),
        recovery=_share(masks == normal.predictions[origin]),
        invariance=_share(masks == normal.masks[origin]),
    )


def _share(flags: npt.NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else float("nan")
