"""How alike lists of units are: of different classes, and of sensitivity and importance (Zhang et al. 2020)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein
from scipy.stats import spearmanr

from engine.errors import InvalidInputError
from engine.sensitivity.importance import Importance
from engine.sensitivity.measuring import LayerSensitivity

Ids = Sequence[int] | npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClassAgreement:
    """How alike the most sensitive units of one layer are from target class to target class (figure 8).

    Attributes:
        name: of the unit layer.
        k: how many units each class has in the comparison.
        levenshtein: mean Levenshtein similarity of every two classes, 0 to 1 (equation 9); NaN with fewer than two.
        jaccard: total Jaccard index, units in all lists / units in any, 0 to 1 (equation 10); NaN likewise.
        classes: those that copies were misled to; the others have no list.
    """

    name: str
    k: int
    levenshtein: float
    jaccard: float
    classes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ImportanceAgreement:
    """How alike sensitivity and importance of the penultimate units are, for one target class (figures 2 and 3).

    Attributes:
        label: the class.
        spearman: rank correlation of sensitivity and votes of all units, −1 to 1 (equation 6); NaN where one is
            constant. Most units of a wide layer have no vote and share a rank.
        spearman_mean: that of sensitivity and mean importance.
        levenshtein: similarity of the k most sensitive and the k most important units, 0 to 1 (equation 8).
    """

    label: int
    spearman: float
    spearman_mean: float
    levenshtein: float


def rank_correlation(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Spearman's rank correlation of two lists of numbers (U,), equals sharing their mean rank.

    Units that are NaN in either are left out; NaN where fewer than two are left or one list is constant.

    Raises:
        InvalidInputError: for lists of different lengths.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise InvalidInputError(f"expected two lists of one length; got the shapes {a.shape} and {b.shape}.")
    known = ~(np.isnan(a) | np.isnan(b))
    a, b = a[known], b[known]
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def levenshtein_similarity(first: Ids, second: Ids) -> float:
    """1 − d(a, b) / (|a| + |b|) of two sequences of ids (Zhang et al. 2020, equations 7 and 8).

    d is the least number of insertions, deletions and substitutions, each costing 1. As the paper's quotient has both
    lengths below it, two lists of k ids with nothing in common still have 0.5. Two empty ones have 1.
    """
    a, b = [int(unit) for unit in first], [int(unit) for unit in second]
    if not a and not b:
        return 1.0
    return 1.0 - int(Levenshtein.distance(a, b, weights=(1, 1, 1))) / (len(a) + len(b))


def total_jaccard(sets: Iterable[Ids]) -> float:
    """|∩| / |∪| of several sets of ids (equation 10); NaN where all are empty.

    Raises:
        InvalidInputError: for no set at all.
    """
    all_sets = [{int(unit) for unit in one} for one in sets]
    if not all_sets:
        raise InvalidInputError("expected at least one set of units; got none.")
    union = set.union(*all_sets)
    return len(set.intersection(*all_sets)) / len(union) if union else float("nan")


def across_classes(layer: LayerSensitivity, k: int) -> ClassAgreement:
    """How alike the k most sensitive units of a layer are from target class to target class.

    Raises:
        InvalidInputError: for k below 1.
    """
    lists = [layer.top_of_class(label, k) for label in layer.classes]
    levenshtein = jaccard = float("nan")
    if len(lists) > 1:
        levenshtein = float(np.mean([levenshtein_similarity(a, b) for a, b in combinations(lists, 2)]))
        jaccard = total_jaccard(lists)
    return ClassAgreement(layer.name, min(k, layer.units), levenshtein, jaccard, layer.classes)


def against_importance(layer: LayerSensitivity, importance: Importance) -> tuple[ImportanceAgreement, ...]:
    """How alike sensitivity and importance of the penultimate units are, by target class, k as of the importance.

    Args:
        layer: sensitivity of the units that the importance is of.
        importance: of the same pairs.

    Raises:
        InvalidInputError: if they are of different layers or pairs.
    """
    if layer.name != importance.layer or not np.array_equal(layer.pairs_per_class, importance.images):
        raise InvalidInputError(
            f"expected sensitivity and importance of the same units and pairs; got {layer.name} with "
            f"{layer.pairs_per_class.tolist()} pairs and {importance.layer} with {importance.images.tolist()}."
        )
    return tuple(
        ImportanceAgreement(
            label,
            rank_correlation(layer.by_class[label], importance.votes[label]),
            rank_correlation(layer.by_class[label], importance.mean[label]),
            levenshtein_similarity(layer.top_of_class(label, importance.k), importance.top(label)),
        )
        for label in importance.classes
    )
