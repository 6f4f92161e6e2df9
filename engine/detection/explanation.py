"""Why a detector scores an image as it does: what each layer and rank adds to the score.

A similarity speaks for an attack by how far it lies from what is usual, so the contribution of one feature is the score
less the score with that feature at its median over normal images. For joint similarity, which is linear, the
contributions add up exactly: to the score less that of an image all of whose similarities are usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.detection.protocol import scores_of
from engine.errors import InvalidInputError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """One image's score and where it comes from.

    Attributes:
        score: how adversarial the image looks; higher is more.
        usual_score: the score of an image whose features are all usual.
        threshold: above it an image is called adversarial.
        names: (F,) of the features.
        values: (F,) features of the image.
        usual: (F,) their medians over normal images.
        contributions: (F,) what each adds to the score; above 0 speaks for an attack.
    """

    score: float
    usual_score: float
    threshold: float
    names: tuple[str, ...]
    values: Floats
    usual: Floats
    contributions: Floats

    @property
    def is_flagged(self) -> bool:
        """Whether the detector calls the image adversarial."""
        return self.score > self.threshold


def explain(
    detector: Any, names: Sequence[str], values: Floats, usual: Floats | Sequence[float], threshold: float
) -> Explanation:
    """Explains the score of one image.

    Args:
        detector: a fitted estimator.
        names: (F,) of the features.
        values: (F,) features of the image.
        usual: (F,) their medians over normal images.
        threshold: above it an image is called adversarial.

    Raises:
        InvalidInputError: if the lengths differ.
    """
    mine, normal = np.asarray(values, np.float64), np.asarray(usual, np.float64)
    if mine.shape != normal.shape or mine.shape != (len(names),):
        raise InvalidInputError(
            f"expected as many features as names and usual values; got {len(mine)}, {len(names)} and {len(normal)}."
        )
    replaced = np.repeat(mine[np.newaxis], len(mine), axis=0)
    np.fill_diagonal(replaced, normal)
    scores = scores_of(detector, np.concatenate([mine[np.newaxis], normal[np.newaxis], replaced]))
    return Explanation(
        score=float(scores[0]),
        usual_score=float(scores[1]),
        threshold=threshold,
        names=tuple(names),
        values=mine,
        usual=normal,
        contributions=scores[0] - scores[2:],
    )
