"""Damped units against a literal implementation with hooks, and the draws of the control."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.errors import InvalidInputError
from engine.sensitivity import stream
from engine.sensitivity.measuring import unit_sensitivity
from engine.sensitivity.suppression import ALL_LAYERS, suppress
from tests.paths.nets import build
from tests.sensitivity.nets import pairs_of, random_pairs, rows, tiny

BETAS = (1.0, 0.6, 0.0)
RELUS = {"0:act": "1", "3:act": "4", "6:act": "7"}  # of the net "strided"


@pytest.fixture(scope="module")
def model():
    """A random net, shifted so that it does not give all images the same class."""
    model = build("strided")
    with torch.no_grad():
        model[8].bias -= model(random_pairs(count=40).clean).mean(dim=0)
    return model


@pytest.fixture(scope="module")
def pairs(model):
    """Random images with the labels that the model gives most of them."""
    found = random_pairs(count=40)
    with torch.no_grad():
        labels = model(found.clean).argmax(dim=1).numpy()
    labels[:10] = (labels[:10] + 1) % 5
    return pairs_of(found.clean, found.adversarial, labels, found.predictions)


@pytest.fixture(scope="module")
def found(model, pairs):
    return suppress(model, pairs, unit_sensitivity(model, pairs), share=0.3, betas=BETAS, draws=2, seed=5)


def accuracy(model, images, labels, units, beta):
    named = dict(model.named_modules())

    def damp(chosen):
        def hook(module, given, out):
            out = out.clone()
            for unit in chosen:
                out[:, unit] *= beta
            return out

        return hook

    handles = [named[RELUS[name]].register_forward_hook(damp(chosen.tolist())) for name, chosen in units.items()]
    with torch.no_grad():
        right = (model(images).argmax(dim=1).numpy() == labels).mean()
    for handle in handles:
        handle.remove()
    return right


def test_accuracies_are_those_of_a_model_with_hooks_on_its_activations(model, pairs, found):
    assert [one.layer for one in found] == ["0", "3", "6", ALL_LAYERS]
    for one in found:
        for at, beta in enumerate(BETAS):
            assert one.sensitive_clean[at] == accuracy(model, pairs.clean, pairs.labels, one.sensitive, beta)
            attacked = accuracy(model, pairs.adversarial, pairs.labels, one.sensitive, beta)
            assert one.sensitive_adversarial[at] == attacked
            for draw, units in enumerate(one.control):
                assert one.control_clean[draw, at] == accuracy(model, pairs.clean, pairs.labels, units, beta)
                attacked = accuracy(model, pairs.adversarial, pairs.labels, units, beta)
                assert one.control_adversarial[draw, at] == attacked
    assert any((one.sensitive_clean[1:] != one.sensitive_clean[0]).any() for one in found)


def test_one_times_the_output_changes_nothing(model, pairs, found):
    with torch.no_grad():
        clean = (model(pairs.clean).argmax(dim=1).numpy() == pairs.labels).mean()
        attacked = (model(pairs.adversarial).argmax(dim=1).numpy() == pairs.labels).mean()
    for one in found:
        assert one.sensitive_clean[0] == clean == 0.75
        assert one.sensitive_adversarial[0] == attacked
        assert (one.control_clean[:, 0] == clean).all()
        assert (one.control_adversarial[:, 0] == attacked).all()


def test_the_chosen_units_are_the_most_sensitive_and_the_control_is_as_many_others(model, pairs, found):
    sensitivity = unit_sensitivity(model, pairs)
    for one in found[:-1]:
        layer, units = sensitivity.layer(one.layer), one.sensitive[f"{one.layer}:act"]
        np.testing.assert_array_equal(units, np.sort(layer.top_share(0.3)))
        for draw in one.control:
            (drawn,) = draw.values()
            assert len(np.unique(drawn)) == len(units) == one.units
            assert not set(drawn.tolist()) & set(units.tolist())
            assert set(drawn.tolist()) <= set(range(layer.units))
        assert one.is_disjoint
    assert any(not np.array_equal(*(draw[f"{one.layer}:act"] for draw in one.control)) for one in found[:-1])


def test_all_layers_at_once_are_the_units_of_each(found):
    *single, together = found
    assert together.units == sum(one.units for one in single)
    for one in single:
        (name,) = one.sensitive
        np.testing.assert_array_equal(together.sensitive[name], one.sensitive[name])
        for draw, merged in zip(one.control, together.control, strict=True):
            np.testing.assert_array_equal(merged[name], draw[name])


def test_a_seed_gives_the_same_draws_whatever_other_layers_are_asked_for(model, pairs, found):
    sensitivity = unit_sensitivity(model, pairs)
    (alone,) = suppress(model, pairs, sensitivity, layers=["6"], share=0.3, betas=BETAS, draws=2, seed=5)
    for mine, theirs in zip(alone.control, found[2].control, strict=True):
        np.testing.assert_array_equal(mine["6:act"], theirs["6:act"])
    others = [suppress(model, pairs, sensitivity, layers=["6"], betas=(1.0,), draws=1, seed=seed) for seed in range(8)]
    drawn = {tuple(one.control[0]["6:act"].tolist()) for (one,) in others}
    assert len(drawn) > 1


def test_units_chosen_before_and_after_the_activation_are_damped_at_the_same_place(model, pairs):
    for activated, name in ((False, "6"), (True, "6:act")):
        sensitivity = unit_sensitivity(model, pairs, activated=activated)
        (one,) = suppress(model, pairs, sensitivity, layers=[name], betas=(0.5,), draws=1)
        assert one.layer == name
        assert list(one.sensitive) == ["6:act"]


def test_batches_and_parts_do_not_change_it(model, pairs, found, monkeypatch):
    monkeypatch.setattr(stream, "BATCH", 7)
    sensitivity = unit_sensitivity(model, pairs)
    split = suppress(model, pairs.batches(11), sensitivity, share=0.3, betas=BETAS, draws=2, seed=5)
    for a, b in zip(found, split, strict=True):
        np.testing.assert_array_equal(a.sensitive_adversarial, b.sensitive_adversarial)
        np.testing.assert_array_equal(a.control_clean, b.control_clean)


def test_where_too_few_others_are_left_the_control_says_so():
    pairs = pairs_of(rows([1, 0], [0, 1]), rows([0, 1], [1, 1]), labels=[0, 1], predictions=[1, 1])
    model = tiny()
    sensitivity = unit_sensitivity(model, pairs)
    (one,) = suppress(model, pairs, sensitivity, share=0.8, betas=(0.5,), draws=2)
    assert not one.is_disjoint
    assert all(len(draw["0:act"]) == one.units == 2 for draw in one.control)
    assert suppress(model, pairs, sensitivity, share=0.5, betas=(0.5,))[0].is_disjoint


def test_the_layer_of_the_logits_is_damped_only_on_demand():
    pairs = pairs_of(rows([1, 0]), rows([0, 1]), labels=[2], predictions=[2])
    sensitivity = unit_sensitivity(tiny(), pairs)
    assert [one.layer for one in suppress(tiny(), pairs, sensitivity)] == ["0"]
    assert [one.layer for one in suppress(tiny(), pairs, sensitivity, layers=["3"])] == ["3"]
    alone = nn.Sequential(nn.Flatten(), nn.Linear(2, 3))
    assert suppress(alone, pairs, unit_sensitivity(alone, pairs)) == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share": 0}, "share"), ({"betas": ()}, "betas"), ({"betas": (1.0, 1.5)}, "betas"),
        ({"betas": (float("nan"),)}, "betas"), ({"draws": 0}, "draws"), ({"layers": ["nothing"]}, "expected one of"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(model, pairs, settings, message):
    with pytest.raises(InvalidInputError, match=message):
        suppress(model, pairs, unit_sensitivity(model, pairs), **settings)
