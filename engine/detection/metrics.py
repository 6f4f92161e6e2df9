"""How well scores separate attacked images from normal ones, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
from sklearn.metrics import roc_curve

from engine.errors import InvalidInputError

Floats = npt.NDArray[np.float64]
FALSE_POSITIVE_RATE = 0.05
RESAMPLES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Separation:
    """How scores separate normal from attacked images; a higher score is more adversarial.

    Attributes:
        auc: area under the ROC curve, in [0, 1]; 0.5 is chance.
        auc_low, auc_high: 95 % interval of it, by bootstrap over source images.
        tpr: share of attacked images above the threshold of :func:`threshold_of`.
        false_positive_rates, true_positive_rates, thresholds: (P,) the points of the ROC curve.
        normal, attacked: numbers of images.
    """

    auc: float
    auc_low: float
    auc_high: float
    tpr: float
    false_positive_rates: Floats
    true_positive_rates: Floats
    thresholds: Floats
    normal: int
    attacked: int


def separation(
    normal: Floats, attacked: Floats, normal_sources: npt.NDArray[np.int64], attacked_sources: npt.NDArray[np.int64],
    seed: int = 0,
) -> Separation:  # fmt: skip
    """Measures the separation.

    Args:
        normal, attacked: (N,), (M,) scores.
        normal_sources, attacked_sources: (N,), (M,) the source image of each: an image and its attacked copies are
            drawn together in the bootstrap, since their scores depend on each other.
        seed: of the bootstrap.

    Raises:
        InvalidInputError: if a side is empty, or a score is not finite.
    """
    if not len(normal) or not len(attacked):
        raise InvalidInputError(
            f"expected scores of normal and of attacked images; got {len(normal)} and {len(attacked)}."
        )
    if not (np.isfinite(normal).all() and np.isfinite(attacked).all()):
        raise InvalidInputError("expected finite scores; got NaN or infinity, which can neither count for nor against.")
    labels = np.repeat([0, 1], [len(normal), len(attacked)])
    false_rates, true_rates, thresholds = roc_curve(labels, np.concatenate([normal, attacked]))
    low, high = _interval(normal, attacked, normal_sources, attacked_sources, seed)
    return Separation(
        auc=area(normal, attacked),
        auc_low=low,
        auc_high=high,
        tpr=float((attacked > threshold_of(normal)).mean()),
        false_positive_rates=false_rates,
        true_positive_rates=true_rates,
        thresholds=thresholds,
        normal=len(normal),
        attacked=len(attacked),
    )


def threshold_of(normal: Floats) -> float:
    """The lowest score of a normal image that at most 5 % of them lie above."""
    above = int(FALSE_POSITIVE_RATE * len(normal) + 1e-9)
    return float(np.sort(normal)[len(normal) - 1 - above])


def area(normal: Floats, attacked: Floats) -> float:
    """P(score of an attacked image > that of a normal one), ties half: the area under the ROC curve (Mann-Whitney)."""
    ranks = rankdata(np.concatenate([normal, attacked]))
    surplus = ranks[len(normal) :].sum() - len(attacked) * (len(attacked) + 1) / 2
    return float(surplus / (len(normal) * len(attacked)))


def _interval(
    normal: Floats, attacked: Floats, normal_sources: npt.NDArray[np.int64], attacked_sources: npt.NDArray[np.int64],
    seed: int,
) -> tuple[float, float]:  # fmt: skip
    sources, index = np.unique(np.concatenate([normal_sources, attacked_sources]), return_inverse=True)
    of_normal, of_attacked = index[: len(normal)], index[len(normal) :]
    order = np.argsort(np.concatenate([normal, attacked]), kind="stable")
    _, ties = np.unique(np.concatenate([normal, attacked])[order], return_inverse=True)
    random = np.random.default_rng(seed)
    found = []
    for _ in range(RESAMPLES):
        drawn = np.bincount(random.integers(0, len(sources), len(sources)), minlength=len(sources)).astype(np.float64)
        weights = np.concatenate([drawn[of_normal], np.zeros(len(attacked))])[order]
        targets = np.concatenate([np.zeros(len(normal)), drawn[of_attacked]])[order]
        found.append(_weighted_area(weights, targets, ties))
    known = np.array(found)[np.isfinite(found)]
    if not len(known):
        return float("nan"), float("nan")
    tail = (1 - CONFIDENCE) / 2
    return float(np.quantile(known, tail)), float(np.quantile(known, 1 - tail))


def _weighted_area(normal: Floats, attacked: Floats, ties: npt.NDArray[np.intp]) -> float:
    """The area where each image counts as often as it was drawn; images are in the order of their scores."""
    total = normal.sum() * attacked.sum()
    if not total:
        return float("nan")
    below = np.bincount(ties, normal)
    won = np.bincount(ties, attacked) * (np.cumsum(below) - 0.5 * below)
    return float(won.sum() / total)
