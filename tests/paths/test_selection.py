"""The selection alone: it suffices, nothing smaller would, ties take the lower key."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from engine import EffectivePath
from engine.errors import InvalidInputError
from tests.paths.reference import select

WEIGHTS = st.lists(st.integers(-5, 5) | st.floats(-5, 5, width=32), min_size=1, max_size=30)
THETA = st.floats(0.01, 1.0)


def selected(weights, theta, bias=0.0):
    """The k that one linear neuron with these contributions selects."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(len(weights), 1))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([weights], dtype=torch.float32))
        model[1].bias.fill_(bias)
    path = EffectivePath(model, theta).extract(torch.ones(1, 1, 1, len(weights)))[0]
    return path.synapses["1"].tolist()


@settings(deadline=None)  # the first call loads the compiled kernels
@given(WEIGHTS, THETA)
def test_a_selection_reaches_its_share_and_nothing_smaller_does(weights, theta):
    parts = np.array(weights, np.float32).astype(np.float64)
    if np.float32(parts.sum()) < 0:
        parts = -parts  # a negative neuron is explained in its own direction
    total = parts.sum()
    chosen = selected(weights, theta)
    if total <= 1e-6:
        return
    reached = parts[chosen].sum()
    assert reached >= theta * total * (1 - 1e-9)
    largest = np.sort(parts)[::-1]
    assert reached == pytest.approx(largest[: len(chosen)].sum())
    assert len(chosen) == 1 or largest[: len(chosen) - 1].sum() < theta * total


@given(WEIGHTS, THETA, st.floats(-20, 20, width=32))
def test_a_selection_is_that_of_the_formula_whatever_the_bias(weights, theta, bias):
    value = float(np.float32(sum(np.float32(w) for w in weights)) + np.float32(bias))
    if abs(value) < 1e-3:
        return  # the sign of such a sum is a matter of rounding
    direction = 1.0 if value >= 0 else -1.0
    parts = [(k, direction * float(np.float32(w))) for k, w in enumerate(weights)]
    assert selected(weights, theta, bias) == sorted(select(parts, theta))


@pytest.mark.parametrize(
    ("weights", "theta", "expected"),
    [
        ([4, 3, 2, 1], 0.5, [0, 1]),
        ([4, 3, 2, 1], 0.4, [0]),
        ([4, 3, 2, 1], 1.0, [0, 1, 2, 3]),
        ([2, 2, 2, 2], 0.5, [0, 1]),
        ([1, 5, -3, 5], 0.5, [1]),
        ([-4, -3, 1], 0.5, [0]),  # z < 0: explained downwards, c = (4, 3, −1), s = 6, θ·s = 3
        ([-1, 1, 0], 0.5, [1]),  # s = 0: only the largest
        ([0, 0, 0], 0.5, [0]),  # nothing contributes: the lowest of equals
    ],
)
def test_hand_worked_selections(weights, theta, expected):
    assert selected(weights, theta) == expected


def test_a_bias_against_all_contributions_leaves_only_the_largest():
    # z = 1 + 2 − 10 < 0, so c = (−1, −2) and s = −3 ≤ 0
    assert selected([1, 2], 0.5, bias=-10.0) == [0]


@pytest.mark.parametrize("theta", [0, -0.1, 1.01, float("nan")])
def test_theta_out_of_range_is_refused(theta):
    with pytest.raises(InvalidInputError, match="theta"):
        EffectivePath(nn.Linear(1, 1), theta)
