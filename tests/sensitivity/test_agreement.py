"""Likeness of lists of units, by hand and by the papers' recursion."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from engine.errors import InvalidInputError
from engine.sensitivity.agreement import (
    across_classes,
    against_importance,
    levenshtein_similarity,
    rank_correlation,
    total_jaccard,
)
from engine.sensitivity.importance import Importance
from engine.sensitivity.measuring import LayerSensitivity

ids = st.lists(st.integers(0, 6), max_size=7)


def layer_of(by_class, counts):
    by_class = np.array(by_class, np.float64)
    values = np.nanmean(by_class, axis=0)
    nothing = np.zeros(len(values), np.int64)
    return LayerSensitivity("fc:act", values, values, nothing, by_class, np.array(counts))


def importance_of(votes, mean, counts, k):
    return Importance("fc:act", k, np.array(counts), np.array(mean, np.float64), np.array(votes), "fgsm", {}, 0)


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ([1, 2, 3], [1, 2, 3], 0), ([1, 2, 3], [1, 4, 3], 1), ([1, 2, 3], [4, 5, 6], 3), ([1, 2], [2, 1], 2),
        ([1, 2, 3], [2, 3, 1], 2), ([], [1, 2], 2), ([300, 5], [300], 1),
    ],
)  # fmt: skip
def test_levenshtein_similarity_by_hand(first, second, distance):
    assert levenshtein_similarity(first, np.array(second)) == 1 - distance / (len(first) + len(second))


def test_two_empty_lists_are_alike():
    assert levenshtein_similarity([], []) == 1


def recursion(a, b):
    """Equation 7, literally."""
    if min(len(a), len(b)) == 0:
        return max(len(a), len(b))
    return min(
        recursion(a[:-1], b) + 1, recursion(a, b[:-1]) + 1, recursion(a[:-1], b[:-1]) + (a[-1] != b[-1])
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=5), st.lists(st.integers(0, 4), min_size=1, max_size=5))
def test_levenshtein_similarity_is_that_of_the_papers_recursion(a, b):
    assert levenshtein_similarity(a, b) == pytest.approx(1 - recursion(a, b) / (len(a) + len(b)))


@given(ids, ids)
def test_levenshtein_similarity_is_symmetric_and_between_0_and_1(a, b):
    assert levenshtein_similarity(a, b) == levenshtein_similarity(b, a)
    assert 0 <= levenshtein_similarity(a, b) <= 1


def test_total_jaccard_by_hand():
    assert total_jaccard([[1, 2, 3], [2, 3, 4], [3, 2, 9]]) == 2 / 5
    assert total_jaccard([[1], [2]]) == 0
    assert total_jaccard([np.array([5, 6])]) == 1
    assert math.isnan(total_jaccard([[], []]))
    with pytest.raises(InvalidInputError, match="at least one set"):
        total_jaccard([])


def test_rank_correlation_is_equation_6_on_lists_without_equals():
    first, second = [0.1, 0.5, 0.3, 0.9], [10, 30, 40, 20]
    squares = np.sum((rankdata(first) - rankdata(second)) ** 2)
    assert rank_correlation(first, second) == pytest.approx(1 - 6 * squares / (4**3 - 4))
    assert rank_correlation(first, np.exp(first)) == pytest.approx(1)
    assert rank_correlation(first, np.negative(first)) == pytest.approx(-1)


def test_rank_correlation_leaves_nan_out_and_is_nan_where_it_has_no_meaning():
    assert rank_correlation([1, np.nan, 2, 3], [1, 0, 2, np.nan]) == pytest.approx(1)
    assert math.isnan(rank_correlation([1, 2, 3], [5, 5, 5]))
    assert math.isnan(rank_correlation([1, np.nan], [1, 2]))
    with pytest.raises(InvalidInputError, match="one length"):
        rank_correlation([1, 2], [1, 2, 3])


def test_across_classes_takes_every_two_classes_that_have_pairs():
    layer = layer_of([[3, 2, 1], [np.nan] * 3, [3, 1, 2], [1, 2, 3]], [4, 0, 1, 2])
    found = across_classes(layer, 2)
    # lists (0, 1), (0, 2) and (2, 1): distances 1, 1 and 2
    assert found.levenshtein == pytest.approx((0.75 + 0.5 + 0.75) / 3)
    assert found.jaccard == 0
    assert (found.classes, found.k) == ((0, 2, 3), 2)
    assert across_classes(layer, 20).jaccard == 1  # all three units in all lists
    assert across_classes(layer, 20).k == 3


def test_one_class_alone_agrees_with_nobody():
    found = across_classes(layer_of([[3, 2, 1], [np.nan] * 3], [4, 0]), 2)
    assert math.isnan(found.levenshtein)
    assert math.isnan(found.jaccard)


def test_sensitivity_against_importance_by_hand():
    layer = layer_of([[4, 3, 2, 1], [np.nan] * 4, [1, 2, 3, 4]], [2, 0, 1])
    importance = importance_of(
        [[4, 2, 0, 0], [0] * 4, [2, 1, 0, 0]], [[8, 7, 6, 5], [np.nan] * 4, [4, 3, 2, 1]], [2, 0, 1], k=2
    )
    first, second = against_importance(layer, importance)
    assert (first.label, second.label) == (0, 2)
    assert first.levenshtein == 1
    assert second.levenshtein == 0.5  # (3, 2) and (0, 1)
    # ranks of the sensitivity 4 3 2 1, of the votes 4 3 1.5 1.5
    expected = np.corrcoef([4, 3, 2, 1], [4, 3, 1.5, 1.5])[0, 1]
    assert first.spearman == pytest.approx(expected)
    assert second.spearman == pytest.approx(-expected)
    assert first.spearman_mean == pytest.approx(1)
    assert second.spearman_mean == pytest.approx(-1)


def test_sensitivity_and_importance_of_other_pairs_are_not_compared():
    layer = layer_of([[4, 3], [1, 2]], [2, 1])
    with pytest.raises(InvalidInputError, match="same units and pairs"):
        against_importance(layer, importance_of([[1, 0], [0, 1]], [[1, 0], [0, 1]], [1, 1], k=2))
