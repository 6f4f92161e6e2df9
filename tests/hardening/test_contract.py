"""What every hardening method must hold to, one table over all of them."""

import json

import numpy as np
import pytest
import torch

from engine.errors import Cancelled, InvalidInputError
from engine.hardening.catalogue import hardening_methods
from engine.hardening.curves import LearningCurves
from engine.hardening.estimate import estimate_seconds
from engine.hardening.hardening import harden, usual_method, usual_settings
from engine.hardening.methods.base import HardeningMethod
from engine.hardening.state import epoch_weights
from engine.network.checkpoint import save_checkpoint
from engine.network.classifiers import available_classifiers, load_classifier
from tests.attacks.test_contract import assert_same_state, bad_values, state
from tests.hardening.nets import few, lenet, same_weights, toy_data

FAST = {"epsilon": 0.1, "steps": 2, "relative_step": 0.6}
every_method = pytest.mark.parametrize("entry", list(hardening_methods), ids=hardening_methods.names())


def made(entry, **settings) -> HardeningMethod:
    fast = {name: value for name, value in FAST.items() if name in {p.name for p in entry.parameters}}
    return entry.create(**{**fast, **settings})


@pytest.fixture(scope="module")
def data():
    return toy_data()


@pytest.fixture(scope="module")
def parent(data):
    return lenet(data)


@every_method
def test_entry_is_complete(entry):
    method = entry.create()
    assert method.name == entry.name
    assert method.settings == {parameter.name: parameter.default for parameter in entry.parameters}
    assert entry.facts["start"] in ("parent", "scratch")
    assert set(entry.facts["presets"]) == {"cifar10", "mnist", "digits"}
    assert entry.name == "vanilla" or entry.paper
    assert all(parameter.label and parameter.help for parameter in entry.parameters)
    for settings in entry.facts["presets"].values():
        assert entry.create(**settings).settings == {**method.settings, **settings}


@every_method
def test_settings_out_of_range_are_refused_both_ways(entry):
    for parameter in entry.parameters:
        for bad in bad_values(parameter):
            with pytest.raises(InvalidInputError, match=parameter.name):
                entry.create(**{parameter.name: bad})
            with pytest.raises(InvalidInputError, match=parameter.name):
                entry.factory(**{parameter.name: bad})


@every_method
def test_model_and_data_are_left_alone_and_the_new_model_is_whole(entry, data, parent):
    before, random, threads = state(parent.module), torch.get_rng_state(), torch.get_num_threads()
    fractions, told = [], []
    model, report = harden(
        parent, data, made(entry), settings=few(), progress=lambda f, m: fractions.append((f, m)), on_epoch=told.append
    )
    assert_same_state(parent.module, before)
    assert torch.equal(random, torch.get_rng_state())
    assert threads == torch.get_num_threads()
    assert not any(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())
    assert not same_weights(model, parent.module)
    numbers = [fraction for fraction, _ in fractions]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 1
    assert any("Epoch 2 of 2, batch 3 of 3, loss" in message and "left" in message for _, message in fractions)
    assert [curves.epochs for curves in told] == [1, 2]
    assert report.curves.report() == told[-1].report()


@every_method
def test_the_same_seed_gives_the_same_weights(entry, data, parent):
    one, _ = harden(parent, data, made(entry), settings=few(epochs=1), seed=3)
    torch.rand(7)
    other, _ = harden(parent, data, made(entry), settings=few(epochs=1), seed=3)
    third, _ = harden(parent, data, made(entry), settings=few(epochs=1), seed=4)
    assert same_weights(one, other)
    assert not same_weights(one, third)


@every_method
def test_cancelled_comes_through_wherever_it_is_raised(entry, data, parent, tmp_path):
    before = state(parent.module)
    calls = []
    harden(parent, data, made(entry), settings=few(), progress=lambda *_: calls.append(1))
    for moment in (1, len(calls) // 2, len(calls) - 1):
        seen = []

        def cancel(*_, moment=moment, seen=seen):
            seen.append(1)
            if len(seen) >= moment:
                raise Cancelled

        folder = tmp_path / str(moment)
        with pytest.raises(Cancelled):
            harden(parent, data, made(entry), settings=few(), folder=folder, progress=cancel)
        assert_same_state(parent.module, before)
    assert epoch_weights(folder)  # the last finished epoch stays


@every_method
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(entry, data, parent, tmp_path):
    settings = few(epochs=3, flips=True, crop_padding=1)
    whole, report = harden(parent, data, made(entry), settings=settings)

    class Stop(Exception):
        pass

    def stop(curves):
        if curves.epochs == len(done) + 1 < 3:
            done.append(curves)
            raise Stop

    done = []
    for _ in range(2):
        with pytest.raises(Stop):
            harden(parent, data, made(entry), settings=settings, folder=tmp_path / "run", on_epoch=stop)
    resumed, again = harden(parent, data, made(entry), settings=settings, folder=tmp_path / "run")
    assert same_weights(whole, resumed)
    assert list(epoch_weights(tmp_path / "run")) == [1, 2, 3]
    for name, values in report.curves.terms.items():
        assert np.array_equal(values, again.curves.terms[name])
    assert np.array_equal(report.curves.robust, again.curves.robust)
    assert report.units == again.units
    assert bool(report.units) == (entry.name not in ("vanilla", "pat", "alp"))
    assert all(list(units) == sorted(set(units)) for units in report.units.values())


@every_method
def test_the_report_goes_round_and_the_card_is_found(entry, data, parent, tmp_path):
    model, report = harden(parent, data, made(entry), settings=few(epochs=1))
    curves = json.loads(json.dumps(report.curves.report(), allow_nan=False))
    assert LearningCurves.from_report(curves).report() == curves
    card = save_checkpoint(model, tmp_path / "hard.safetensors", report.card())
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    facts = available_classifiers(tmp_path)["hard"].facts
    assert (facts["parent"], facts["parent_key"], facts["method"]) == ("parent", parent.key, entry.name)
    assert facts["method_settings"] == made(entry).settings
    assert facts["training"]["epochs"] == facts["epochs"] == 1
    assert facts["curves"]["terms"].keys() == report.curves.terms.keys()
    loaded = load_classifier("hard", tmp_path)
    images = data.test.images(range(4))
    assert torch.equal(loaded.module(images), model(images))
    assert loaded.key != parent.key


@every_method
def test_an_estimate_leaves_everything_as_it_was(entry, data, parent):
    before, random = state(parent.module), torch.get_rng_state()
    estimate = estimate_seconds(parent, data, made(entry), few(epochs=4), batches=1)
    assert_same_state(parent.module, before)
    assert torch.equal(random, torch.get_rng_state())
    assert (estimate.batches, estimate.epochs) == (3, 4)
    assert estimate.epoch >= 3 * estimate.batch > 0
    assert estimate.total == pytest.approx(estimate.preparation + 4 * estimate.epoch)


@every_method
def test_presets_are_for_their_data(entry, data, parent):
    method = usual_method(entry.name, data)
    settings = usual_settings(parent, data, method)
    settings.require_sound()
    assert settings.start == entry.facts["start"]
    assert method.settings == {**entry.create().settings, **entry.facts["presets"]["mnist"]}


def test_a_method_that_does_not_fit_is_refused(data, parent):
    with pytest.raises(InvalidInputError, match="start from the parent"):
        harden(parent, data, hardening_methods["sns"].create(), settings=few(start="scratch"))
    with pytest.raises(InvalidInputError, match="start from the parent"):
        harden(parent, data, hardening_methods["route_weight"].create(), settings=few(start="scratch"))
    with pytest.raises(InvalidInputError, match="at most 48"):
        harden(parent, data, hardening_methods["pat"].create(), settings=few(images=49))
    with pytest.raises(InvalidInputError, match="first_layer: expected at most 2"):
        harden(parent, data, hardening_methods["sns"].create(first_layer=3), settings=few())
    for bad in ({"epochs": 0}, {"lr": -1.0}, {"start": "middle"}, {"optimizer": "magic"}, {"held_out": -1},
                {"weight_decay": float("nan")}, {"images": 0}, {"held_out_epsilon": 2.0}):  # fmt: skip
        with pytest.raises(InvalidInputError, match="expected"):
            harden(parent, data, hardening_methods["vanilla"].create(), settings=few(**bad))
