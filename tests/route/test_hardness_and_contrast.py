"""Votes, survival and contrast by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine.errors import InvalidInputError
from engine.route.contrast import contrast
from engine.route.hardness import hardness, survival_by_hardness


def test_votes_by_hand():
    gradients = {
        "a": np.array([[5.0, 1, 0], [1, 9, 1], [2, 9, 2], [3, 0, 1]]),
        "b": np.array([[1.0, 0], [4, 0], [0, 7], [2, 0]]),
    }
    found = hardness(gradients, {"a": np.array([0, 2]), "b": np.array([0])})
    # on the route: a 5, 2, 4, 4 → votes 1, 4, 2.5, 2.5; b 1, 4, 0, 2 → 3, 1, 4, 2
    np.testing.assert_array_equal(found.votes, [4, 5, 6.5, 4.5])
    np.testing.assert_array_equal(found.order, [2, 1, 3, 0])


@settings(max_examples=30, deadline=None)
@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 9), st.just(4)), elements=st.integers(0, 3)))
def test_every_layer_gives_all_ranks_whatever_ties(gradients):
    found = hardness({"a": gradients, "b": gradients[:, ::-1]}, {"a": np.array([0, 1]), "b": np.array([2])})
    count = len(gradients)
    assert found.votes.sum() == pytest.approx(2 * count * (count + 1) / 2)
    assert sorted(found.order.tolist()) == list(range(count))
    assert (np.diff(found.votes[found.order]) <= 0).all()


def test_survival_goes_from_the_easiest_group_to_the_hardest():
    votes = np.array([9.0, 1, 5, 3, 7, 2, 8])
    misled = np.array([0, 1, 1, 0, 0, 1, 0], dtype=bool)
    found = survival_by_hardness(misled, votes, groups=3)
    assert found.counts.tolist() == [3, 2, 2]
    np.testing.assert_allclose(found.groups, [1 / 3, 1 / 2, 1])  # rows 1, 5, 3; 2, 4; 6, 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), max_size=12), st.integers(1, 6))
def test_the_groups_together_are_all_images(misled, groups):
    found = survival_by_hardness(np.array(misled, dtype=bool), np.arange(len(misled)), groups)
    assert found.counts.sum() == len(misled)
    assert np.nansum(found.groups * found.counts) == pytest.approx(len(misled) - sum(misled))
    assert np.isnan(found.groups).tolist() == [count == 0 for count in found.counts]


def test_contrast_by_hand():
    values = {"a": np.array([6.0, 1, 2, 8, 3]), "b": np.array([1.0, 2]), "c": np.array([5.0, 0])}
    chosen = {"a": np.array([0, 3]), "b": np.array([0, 1]), "c": np.array([0])}
    first, second, third = contrast(values, chosen)
    assert (first.layer, first.on, first.off, first.ratio) == ("a", 7, 2, 3.5)
    assert first.p == pytest.approx(2 / 10)  # both of 2 above all 3: 1 of 10 orders, on either side
    assert second.on == 1.5
    assert np.isnan([second.off, second.ratio, second.p]).all()
    assert (third.on, third.off) == (5, 0)
    assert np.isnan(third.ratio)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InvalidInputError, match="a value for each"):
        contrast({"a": np.ones(3)}, {"a": np.array([3])})
    with pytest.raises(InvalidInputError, match="gradients"):
        hardness({"a": np.ones((2, 3))}, {"b": np.array([0])})
    with pytest.raises(InvalidInputError, match="at least 1 group"):
        survival_by_hardness(np.zeros(2, bool), np.zeros(2), 0)
