"""The selection in a layer against the formula: long fields, any share, any number of threads, extreme values."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from engine import EffectivePath
from engine.paths import layer_selection
from tests.paths.reference import select

SCALES = (1e-42, 1e-38, 1e-30, 1e-3, 1.0, 1e10)


def contributions(weights, values):
    parts = weights.astype(np.float64) * values.astype(np.float64)
    return (parts if np.float32(parts.sum()) >= 0 else -parts).tolist()


def selected(weights, values, theta):
    """The k that one linear neuron selects, whose inputs are ``values``."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(len(weights), 1, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.from_numpy(weights)[None])
    path = EffectivePath(model, theta).extract(torch.from_numpy(values).reshape(1, 1, 1, -1))[0]
    return path.synapses["1"].tolist()


@settings(deadline=None)  # the first call loads the compiled kernels
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 3000),
    st.floats(0.01, 1.0),
    st.sampled_from([0.0, 0.5, 0.9]),
    st.sampled_from([0.0, 0.3]),
)
def test_a_long_field_is_selected_as_the_formula_says(seed, field, theta, zeros, surplus):
    random = np.random.default_rng(seed)
    weights = (random.standard_normal(field) + surplus).astype(np.float32)
    values = np.where(random.random(field) < zeros, 0, random.random(field)).astype(np.float32)
    parts = contributions(weights, values)
    if abs(sum(parts)) < 1e-4:
        return  # the sign of such a sum is a matter of rounding
    assert selected(weights, values, theta) == sorted(select(list(enumerate(parts)), theta))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3000), st.sampled_from([0.25, 0.5, 0.75, 1.0]), st.booleans())
def test_a_share_that_is_reached_exactly_needs_no_further_contribution(seed, field, theta, negative):
    random = np.random.default_rng(seed)
    weights = random.integers(-2 if negative else 0, 5, field).astype(np.float32)  # sums of such hit θ·s itself
    values = (random.integers(0, 9, field) / 8).astype(np.float32)
    parts = contributions(weights, values)
    assert selected(weights, values, theta) == sorted(select(list(enumerate(parts)), theta))


def test_one_rounding_of_float32_beside_the_share_decides():
    field, least = 4096, 2.0**-22
    weights = np.concatenate(([2.0], np.full(field - 1, 2.0 / (field - 1)))).astype(np.float32)
    values = np.full(field, 0.5, np.float32)
    for surplus in (-least, 0.0, least):  # the first is just below half, about half and just above half of the sum
        values[-1] = np.float32(0.5 + surplus * (field - 1))
        parts = contributions(weights, values)
        assert selected(weights, values, 0.5) == sorted(select(list(enumerate(parts)), 0.5))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("theta", [0.1, 0.5, 0.99, 1.0])
def test_contributions_over_many_magnitudes_keep_their_order(scale, theta):
    random = np.random.default_rng(3)
    weights = (np.float32(10) ** random.uniform(-12, 0, 700) * scale).astype(np.float32)
    values = np.full(700, 0.25, np.float32)  # products of the smallest vanish in float32, not in float64
    parts = contributions(weights, values)
    assert selected(weights, values, theta) == sorted(select(list(enumerate(parts)), theta))


@pytest.mark.parametrize("scale", [1e-20, 1e-21, 1e-22, 1e-23])
def test_products_that_float32_holds_by_a_few_digits_keep_their_order(scale):
    for seed in range(40):
        random = np.random.default_rng(seed)
        weights = (random.random(800) * scale).astype(np.float32)
        values = (random.random(800) * scale).astype(np.float32)
        parts = contributions(weights, values)
        for theta in (0.1, 0.3):
            assert selected(weights, values, theta) == sorted(select(list(enumerate(parts)), theta))


@pytest.mark.parametrize("n_equal", [3, 64, 65, 500])
def test_of_equal_contributions_the_first_are_taken(n_equal):
    values = np.ones(n_equal, np.float32)
    assert selected(values, values, 0.5) == list(range(-(-n_equal // 2)))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3, stride=2, padding=1),
        nn.Conv2d(4, 8, (3, 2), dilation=(1, 2), padding=(0, 2), groups=2),
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
    ],
    ids=["strided", "grouped and dilated", "depthwise"],
)
def test_the_number_of_threads_does_not_change_a_path(layer, monkeypatch):
    images = torch.rand(7, 4, 9, 8, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    layer.reset_parameters()
    model = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.Linear(layer(images)[0].numel(), 5))
    alone = EffectivePath(model, 0.9).extract(images)
    monkeypatch.setattr(layer_selection, "WORTH_A_THREAD", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        shared = EffectivePath(model, 0.9).extract(images)
    finally:
        torch.set_num_threads(before)
    assert shared == alone
    assert sum(len(path.synapses["0"]) for path in alone) > 20
