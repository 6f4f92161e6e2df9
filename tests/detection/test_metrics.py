"""Areas under the curve against counting pairs, and intervals that hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from engine.detection.metrics import _weighted_area, area, separation, threshold_of
from engine.errors import InvalidInputError

SCORES = st.lists(st.integers(-5, 5), min_size=1, max_size=20).map(lambda xs: np.array(xs, float))


@given(SCORES, SCORES)
def test_the_area_counts_pairs(normal, attacked):
    pairs = [(a > n) + 0.5 * (a == n) for n in normal for a in attacked]
    assert area(normal, attacked) == pytest.approx(np.mean(pairs))


@given(SCORES, SCORES, st.integers(0, 100))
@settings(max_examples=50)
def test_the_weighted_area_is_that_of_repeated_images(normal, attacked, seed):
    random = np.random.default_rng(seed)
    times = random.integers(0, 3, len(normal)), random.integers(0, 3, len(attacked))
    scores = np.concatenate([normal, attacked])
    order = np.argsort(scores, kind="stable")
    _, ties = np.unique(scores[order], return_inverse=True)
    weights = np.concatenate([times[0], np.zeros(len(attacked))])[order].astype(float)
    targets = np.concatenate([np.zeros(len(normal)), times[1]])[order].astype(float)
    found = _weighted_area(weights, targets, ties)
    if times[0].sum() and times[1].sum():
        assert found == pytest.approx(area(np.repeat(normal, times[0]), np.repeat(attacked, times[1])))
    else:
        assert np.isnan(found)


def test_separation_of_two_bells():
    random = np.random.default_rng(0)
    normal, attacked = random.normal(0, 1, 300), random.normal(2, 1, 300)
    found = separation(normal, attacked, np.arange(300), np.arange(300))
    assert found.auc == pytest.approx(roc_auc_score(np.repeat([0, 1], 300), np.concatenate([normal, attacked])))
    assert found.auc_low < found.auc < found.auc_high
    assert found.auc_high - found.auc_low < 0.06
    flagged = np.sort(normal)[-16]  # fifteen of 300 lie above
    assert threshold_of(normal) == flagged
    assert found.tpr == (attacked > flagged).mean()
    assert (found.normal, found.attacked) == (300, 300)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(1)
    held = 0
    for seed in range(60):
        normal, attacked = random.normal(0, 1, 60), random.normal(1, 1, 60)
        found = separation(normal, attacked, np.arange(60), np.arange(60, 120), seed)
        held += found.auc_low <= 0.760 <= found.auc_high  # Φ(1/√2)
    assert held >= 50


@pytest.mark.parametrize("normal", [np.array([]), np.array([np.nan, 1.0])])
def test_scores_that_cannot_be_judged_are_refused(normal):
    with pytest.raises(InvalidInputError, match="scores"):
        separation(normal, np.ones(2), np.arange(len(normal)), np.arange(2))
