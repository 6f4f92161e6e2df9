"""Sensitivity and ratios by hand, against a literal loop over pairs and units, and in streams."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from engine.errors import InvalidInputError
from engine.sensitivity import stream
from engine.sensitivity.measuring import LayerSensitivity, unit_sensitivity
from engine.sensitivity.ranking import top_units, units_in_share
from tests.paths.nets import build
from tests.sensitivity.nets import pairs_of, random_pairs, rows, seen_by, tiny


@pytest.fixture
def hand():
    """Three pairs; in the second the clean image is black, so no unit of the convolution answers to it."""
    clean, adversarial = rows([1, 0], [0, 0], [0.5, 0.5]), rows([0.5, 0.5], [1, 0], [0.5, 1])
    return pairs_of(clean, adversarial, labels=[0, 1, 2], predictions=[1, 1, 1])


def test_values_and_ratios_are_those_worked_out_by_hand(hand):
    layer = unit_sensitivity(tiny(), hand).layer("0")
    # unit 0 shows the pixels: differences 1, 1, 0.5 over two elements each; norms 1, 0, 1
    # unit 1 shows −2 times the pixels: differences 2, 2, 1; norms 2, 0, 2
    np.testing.assert_array_equal(layer.values, [2.5 / 2 / 3, 5 / 2 / 3])
    np.testing.assert_array_equal(layer.ratios, [(1 + 0.5) / 2, (1 + 0.5) / 2])
    np.testing.assert_array_equal(layer.left_out, [1, 1])
    assert layer.mean_ratio == 0.75


def test_after_the_activation_a_silent_unit_has_no_ratio(hand):
    layer = unit_sensitivity(tiny(), hand, activated=True).layer("0:act")
    np.testing.assert_array_equal(layer.values, [2.5 / 2 / 3, 0])
    np.testing.assert_array_equal(layer.ratios, [0.75, np.nan])
    np.testing.assert_array_equal(layer.left_out, [1, 3])
    assert layer.mean_ratio == 0.75  # of the unit that has one


def test_a_class_counts_the_copies_that_were_misled_to_it_and_no_others(hand):
    layer = unit_sensitivity(tiny(), hand).layer("0")
    np.testing.assert_array_equal(layer.pairs_per_class, [0, 2, 0])  # the second keeps its label
    np.testing.assert_array_equal(layer.by_class[1], [1.5 / 2 / 2, 3 / 2 / 2])
    assert np.isnan(layer.by_class[[0, 2]]).all()
    assert layer.classes == (1,)
    np.testing.assert_array_equal(layer.top_of_class(1, 5), [1, 0])
    with pytest.raises(InvalidInputError, match=r"misled to, \(1,\); got 0"):
        layer.top_of_class(0, 5)


@pytest.mark.parametrize("name", ["strided", "dilated and grouped"])
@pytest.mark.parametrize(("double", "tolerance"), [(False, 1e-5), (True, 1e-12)])
def test_random_nets_give_what_a_loop_over_pairs_and_units_gives(name, double, tolerance):
    model, pairs = build(name), random_pairs()
    model = model.double() if double else model
    found = unit_sensitivity(model, pairs)
    modules = [layer.name for layer in found.layers]
    clean, adversarial = (seen_by(model, images, modules) for images in (pairs.clean, pairs.adversarial))
    assert modules == [key for key, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer in found.layers:
        a, b = clean[layer.name].astype(np.float64), adversarial[layer.name].astype(np.float64)
        assert layer.units == a.shape[1]
        for unit in range(layer.units):
            differences = [np.abs(a[i, unit] - b[i, unit]).sum() for i in range(len(pairs))]
            norms = [np.abs(a[i, unit]).sum() for i in range(len(pairs))]
            dim = a[0, unit].size
            assert layer.values[unit] == pytest.approx(np.mean(differences) / dim, rel=tolerance)
            assert layer.ratios[unit] == pytest.approx(np.mean(np.divide(differences, norms)), rel=tolerance)
            for label in range(5):
                of = [d / dim for d, y, p in zip(differences, pairs.labels, pairs.predictions, strict=True)
                      if p == label != y]  # fmt: skip
                expected = np.mean(of) if of else np.nan
                assert layer.by_class[label, unit] == pytest.approx(expected, rel=tolerance, nan_ok=True)


@pytest.mark.parametrize("name", ["residual", "branches", "batch norm"])
def test_activated_layers_of_branching_nets_are_measured_too(name):
    found = unit_sensitivity(build(name), random_pairs(), activated=True)
    assert all(np.isfinite(layer.values).all() and (layer.values >= 0).all() for layer in found.layers)
    assert sum(layer.values.sum() for layer in found.layers) > 0


@settings(max_examples=15, deadline=None)
@given(size=st.integers(1, 9), part=st.integers(1, 9))
def test_neither_batches_nor_parts_change_the_result(size, part):
    model, pairs = build("strided").double(), random_pairs()
    whole = unit_sensitivity(model, pairs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "BATCH", size)
        split = unit_sensitivity(model, pairs.batches(part))
    assert split.n_pairs == whole.n_pairs == 7
    for a, b in zip(whole.layers, split.layers, strict=True):
        np.testing.assert_allclose(b.values, a.values, rtol=1e-12)
        np.testing.assert_allclose(b.ratios, a.ratios, rtol=1e-12)
        np.testing.assert_allclose(b.by_class, a.by_class, rtol=1e-12)
        np.testing.assert_array_equal(b.left_out, a.left_out)


def test_images_with_large_activations_are_run_in_smaller_batches(monkeypatch):
    pairs, sizes = random_pairs(), []
    model = build("strided")
    whole = unit_sensitivity(model, pairs)
    monkeypatch.setattr(stream, "MAX_BATCH_ELEMENTS", 3000)
    small = unit_sensitivity(model, pairs, progress=lambda fraction, message: sizes.append(fraction))
    assert len(sizes) > 1
    assert sizes[-1] == 1
    np.testing.assert_allclose(small.layers[0].values, whole.layers[0].values, rtol=1e-5)


def of_values(values):
    values = np.array(values, np.float64)
    nothing = np.zeros(len(values), np.int64)
    return LayerSensitivity("layer", values, values, nothing, values[None], np.ones(1, np.int64))


def test_the_top_is_the_most_sensitive_first_and_the_lower_id_among_equals():
    layer = of_values([0.5, 2, 0.5, 3, 2, 0.5])
    np.testing.assert_array_equal(layer.top(4), [3, 1, 4, 0])
    np.testing.assert_array_equal(layer.top(99), [3, 1, 4, 0, 2, 5])
    assert layer.top(1).dtype == np.int64
    with pytest.raises(InvalidInputError, match="at least 1"):
        layer.top(0)


@pytest.mark.parametrize(
    ("units", "share", "count"),
    [(6, 0.1, 1), (100, 0.07, 7), (70, 0.1, 7), (71, 0.1, 8), (84, 0.1, 9), (1, 0.1, 1), (3, 1.0, 3)],
)
def test_a_share_is_rounded_up_and_is_at_least_one_unit(units, share, count):
    assert units_in_share(units, share) == count
    assert len(of_values(np.arange(units)).top_share(share)) == count


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(InvalidInputError, match="share"):
        units_in_share(10, share)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(1, 40))
def test_the_top_holds_no_unit_that_is_smaller_than_one_outside(values, k):
    found = top_units(np.array(values), k)
    assert len(set(found.tolist())) == len(found) == min(k, len(values))
    outside = [value for unit, value in enumerate(values) if unit not in found]
    assert not outside or min(values[unit] for unit in found) >= max(outside)


def test_a_model_that_gives_nan_is_named_with_its_batch(monkeypatch):
    monkeypatch.setattr(stream, "BATCH", 2)
    pairs = random_pairs()
    pairs.adversarial[5] = torch.nan
    with pytest.raises(InvalidInputError, match=r"0: .*batch index 2 \(pairs 4 to 5\)"):
        unit_sensitivity(build("strided"), pairs)


def test_what_cannot_be_measured_is_refused():
    pairs, model = random_pairs(), build("strided")
    with pytest.raises(InvalidInputError, match="at least one image"):
        unit_sensitivity(model, pairs.of(slice(0, 0)))
    with pytest.raises(InvalidInputError, match="expected one of"):
        unit_sensitivity(model, pairs, layers=["nothing"])
    with pytest.raises(InvalidInputError, match="at least one"):
        unit_sensitivity(model, pairs, layers=[])
    with pytest.raises(InvalidInputError, match="predictions from 0 to 4"):
        unit_sensitivity(model, random_pairs(classes=50))
    other = pairs_of(pairs.clean[:, :, :9], pairs.adversarial[:, :, :9], pairs.labels, pairs.predictions)
    with pytest.raises(InvalidInputError, match="one shape"):
        unit_sensitivity(model, [pairs, other])
    with pytest.raises(InvalidInputError, match="expected one of 0; got '3'"):
        unit_sensitivity(model, pairs, layers=["0"]).layer("3")


def test_parts_of_different_attacks_are_not_one_measurement():
    pairs = random_pairs()
    with pytest.raises(InvalidInputError, match=r"seed 3, and fgsm .* seed 4"):
        unit_sensitivity(build("strided"), [pairs, replace(pairs, seed=4)])
