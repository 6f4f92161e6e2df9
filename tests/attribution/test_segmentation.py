"""Regions of interest: exact quantiles, strongest images, resized maps."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from engine.attribution import segmentation
from engine.attribution.segmentation import segment, unit_profile
from engine.errors import Cancelled, InvalidInputError
from tests.paths.nets import SHAPE, build


def identity():
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2, bias=False))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
    return model.eval()


def test_by_hand():
    model = identity()
    images = torch.arange(64.0).view(4, 1, 4, 4) / 64
    profile = unit_profile(model, images, "0:act", quantile=0.9, strongest=3)
    # A tenth of 64 elements is 6 whole ones: 63 … 58 lie above 57.
    assert (profile.thresholds * 64).tolist() == [57.0]
    assert profile.strongest.tolist() == [[3, 2, 1]]
    assert (profile.peaks * 64).tolist() == [[63.0, 47.0, 31.0]]
    found = segment(model, images[2:], profile, np.array([0]))
    assert not found.regions[0].any()
    assert np.flatnonzero(found.regions[1]).tolist() == [10, 11, 12, 13, 14, 15]


@settings(max_examples=10, deadline=None)
@given(n=st.integers(1, 9), batch=st.integers(1, 4), quantile=st.floats(0.05, 0.995), seed=st.integers(0, 5))
def test_the_quantile_is_that_of_all_elements_however_they_are_batched(n, batch, quantile, seed):
    model = build("strided", 3)
    images = torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(seed))
    before, segmentation.BATCH = segmentation.BATCH, batch
    try:
        profile = unit_profile(model, images, "0", quantile=quantile, strongest=4)
    finally:
        segmentation.BATCH = before
    maps = model[0](images).detach().numpy().transpose(1, 0, 2, 3).reshape(6, -1)
    allowed = int((1 - quantile) * maps.shape[1])
    for unit in range(6):
        threshold = profile.thresholds[unit]
        assert (maps[unit] > threshold + 1e-6).sum() <= allowed
        assert threshold == pytest.approx(np.sort(maps[unit])[-1 - allowed], abs=1e-6)
    peaks = maps.reshape(6, n, -1).max(axis=2)
    assert profile.peaks == pytest.approx(-np.sort(-peaks, axis=1)[:, :4], abs=1e-6)


def test_units_of_a_linear_layer_are_maps_of_one_pixel():
    model = build("strided")
    images = torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(0))
    profile = unit_profile(model, images, "6:act", quantile=0.5)
    values = model[:8](images).detach().numpy()
    assert profile.strongest.shape == (8, 5)
    assert profile.peaks[:, 0] == pytest.approx(values.max(axis=0), abs=1e-6)
    found = segment(model, images, profile, np.array([2, 5]))
    assert found.maps.shape == (8, 2, 11, 11)
    assert found.maps[:, 0, 0, 0] == pytest.approx(values[:, 2], abs=1e-6)


def test_wrong_requests_and_cancelling():
    model, images = identity(), torch.rand(3, 1, 4, 4)
    with pytest.raises(InvalidInputError, match="quantile"):
        unit_profile(model, images, "0", quantile=1.0)
    with pytest.raises(InvalidInputError, match="N ≥ 1"):
        unit_profile(model, images[:0], "0")
    with pytest.raises(InvalidInputError, match="expected units 0 to 0; got 4"):
        segment(model, images, unit_profile(model, images, "0"), np.array([4]))

    def cancel(fraction, message):
        raise Cancelled

    model.train()
    with pytest.raises(Cancelled):
        unit_profile(model, images, "0", progress=cancel)
    assert model.training
