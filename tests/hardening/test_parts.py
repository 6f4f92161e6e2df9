"""Curves, schedules, subsets, the held-out measure, the pace, and the estimate."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from engine.errors import InvalidInputError
from engine.hardening.curves import EpochFigures, LearningCurves
from engine.hardening.estimate import estimate_seconds
from engine.hardening.hardening import harden, usual_method, usual_settings
from engine.hardening.images import SUBSET_SEED, fixed_subset
from engine.hardening.methods.pat import PAT
from engine.hardening.methods.vanilla import Vanilla
from engine.hardening.monitor import HeldOut
from engine.hardening.optimisation import optimizer_of, schedule_of
from engine.hardening.pace import Pace, duration
from engine.hardening.recipes import Recipe
from engine.hardening.settings import preset_name, training_preset
from engine.hardening.state import check_resume, identity
from engine.hardening.training import train_classifier
from engine.progress import silent
from tests.hardening.nets import few, lenet, same_weights, toy_data

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    epochs=st.lists(st.tuples(finite, finite, st.one_of(finite, st.just(math.nan))), max_size=5),
    weight=finite,
)
def test_curves_go_round_bit_for_bit(epochs, weight):
    curves = LearningCurves(held_out=3, epsilon=0.1)
    for loss, share, robust in epochs:
        figures = EpochFigures({"clean": loss, "pairing": share}, loss, share, share, robust, share, loss)
        curves = curves.extended({"clean": 1.0, "pairing": weight}, figures)
    text = json.dumps(curves.report(), allow_nan=False)
    again = LearningCurves.from_report(json.loads(text))
    assert again.epochs == curves.epochs == len(epochs)
    assert json.dumps(again.report()) == text
    assert np.array_equal(again.robust, curves.robust, equal_nan=True)
    assert bool(curves.last()) == bool(epochs)


def test_the_curves_hold_what_was_measured():
    data = toy_data()
    model, report = harden(lenet(data), data, PAT(epsilon=0.1, steps=2), settings=few(epochs=3, lr=0.1))
    curves = report.curves
    assert curves.epochs == 3
    assert dict(curves.weights) == {"clean": 0.5, "adversarial": 0.5}
    assert np.allclose(curves.total, 0.5 * curves.terms["clean"] + 0.5 * curves.terms["adversarial"])
    assert curves.learning_rate[0] == 0.1
    assert (np.diff(curves.learning_rate) < 0).all()
    assert (curves.seconds > 0).all()
    assert (curves.robust <= curves.clean).all()
    held_out = HeldOut(data.test, 6, 0.1, 0)
    measured = held_out.measure(model, bfloat16=False, where="here", progress=silent)
    assert (measured.clean, measured.robust) == (curves.clean[-1], curves.robust[-1])


def test_held_out_accuracy_counts_what_is_right_before_and_after():
    class Threshold(nn.Module):
        """Class 1 where the mean is above a half: attackable exactly within ε of it."""

        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(100.0))

        def forward(self, x):
            lead = self.scale * (x.flatten(1).mean(dim=1) - 0.5)
            return torch.stack([-lead, lead], dim=1)

    class Means:
        labels = np.array([1, 1, 0, 0, 1])

        def images(self, rows):
            return torch.tensor([0.9, 0.55, 0.1, 0.45, 0.2])[rows][:, None, None, None].expand(-1, 1, 4, 4)

    measured = HeldOut(Means(), 5, 0.1, 0).measure(Threshold(), bfloat16=False, where="here", progress=silent)
    assert (measured.clean, measured.robust) == (0.8, 0.4)


def test_hardening_by_plain_training_from_scratch_is_plain_training():
    data = toy_data()
    plain, report = train_classifier("lenet5", data, epochs=2, seed=7, lr=0.02, batch_size=8)
    settings = few(**{name: getattr(report.recipe, name) for name in ("optimizer", "lr", "weight_decay", "batch_size")},
                   start="scratch", held_out=0)  # fmt: skip
    hardened, curves = harden(lenet(data), data, Vanilla(), settings=settings, seed=7)
    assert same_weights(plain, hardened)
    assert report.loss.tolist() == curves.curves.total.tolist()


@given(
    warmup=st.integers(0, 30), steps=st.integers(1, 40), lr=st.floats(1e-5, 1.0),
)  # fmt: skip
def test_the_learning_rate_rises_evenly_and_decays_to_zero(warmup, steps, lr):
    recipe = Recipe("sgd", lr, 0.0, 1, 1, warmup_steps=warmup)
    optimizer = optimizer_of([nn.Parameter(torch.zeros(1))], recipe)
    schedule, rates = schedule_of(optimizer, recipe, steps), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)
    assert max(rates) <= lr * (1 + 1e-9)
    peak = min(warmup, steps - 1)
    assert rates[peak] == pytest.approx(lr)
    assert np.allclose(np.diff(rates[: peak + 1]), lr / (peak + 1))
    assert (np.diff(rates[peak:]) <= 1e-12).all()


def test_gradients_are_shortened_if_the_recipe_says_so():
    data = toy_data()
    settings = few(lr=1.0, weight_decay=0.0, clip_norm=1e-3, epochs=1, batch_size=48)
    parent = lenet(data)
    model, _ = harden(parent, data, Vanilla(), settings=settings)
    change = [a - b for a, b in zip(model.parameters(), parent.module.parameters(), strict=True)]
    length = math.sqrt(sum(float(part.detach().square().sum()) for part in change))
    assert length == pytest.approx(1.9e-3, rel=1e-2)  # Nesterov's first step is 1 + 0.9 times the gradient


@pytest.mark.parametrize("count", [1, 7, 47])
def test_a_subset_is_fixed_and_in_order(count):
    images = toy_data().train
    subset = fixed_subset(images, count)
    rows = np.sort(torch.randperm(48, generator=torch.Generator().manual_seed(SUBSET_SEED))[:count].numpy())
    assert subset.labels.tolist() == images.labels[rows].tolist()
    assert torch.equal(subset.images(range(count)), images.images(rows))
    assert fixed_subset(images, None) is fixed_subset(images, 48) is images


def test_presets_know_their_data():
    assert preset_name(toy_data()) == "mnist"
    data = toy_data()
    settings = training_preset("lenet5", data, "parent")
    assert (settings.optimizer, settings.start, settings.precision) == ("adam", "parent", "float32")
    assert usual_settings(lenet(data), data, PAT()).start == "scratch"
    assert usual_method("pat", data, epsilon=0.2).epsilon == 0.2


def test_the_time_that_is_left_is_told():
    told = []
    pace = Pace(lambda *report: told.append(report), 4, 1)
    pace.within("Epoch 1 of 2, batch 2 of 2")(0.5, "step")
    pace.done("Epoch 1 of 2, batch 2 of 2", 1.25, {"clean": 1.0, "pairing": 0.5})
    assert told[0] == (0.375, "Epoch 1 of 2, batch 2 of 2")
    assert told[1][0] == 0.5
    assert told[1][1].startswith("Epoch 1 of 2, batch 2 of 2, loss 1.2500 (clean 1, pairing 0.5), ")
    assert told[1][1].endswith("left")
    assert [duration(seconds) for seconds in (3.2, 99, 150, 7000, 12_000)] == [
        "3 s", "99 s", "2 min", "1 h 57 min", "3 h 20 min",
    ]  # fmt: skip


def test_an_estimate_is_near_what_a_run_takes():
    data = toy_data()
    parent, method, settings = lenet(data), PAT(epsilon=0.1, steps=10), few(epochs=4, held_out=0)
    estimate = estimate_seconds(parent, data, method, settings, batches=5)
    _, report = harden(parent, data, method, settings=settings)
    assert 0.2 < estimate.total / report.curves.seconds.sum() < 5  # other work on the machine is in both


def test_a_folder_is_resumed_only_when_asked(tmp_path):
    check_resume(None, False)
    check_resume(tmp_path, False)
    with pytest.raises(InvalidInputError, match="holds none"):
        check_resume(tmp_path, True)
    with pytest.raises(InvalidInputError, match="holds none"):
        check_resume(None, True)
    data = toy_data(16)
    train_classifier("lenet5", data, epochs=1, folder=tmp_path)
    check_resume(tmp_path, True)
    with pytest.raises(InvalidInputError, match="add --resume"):
        check_resume(tmp_path, False)
    assert identity({"a": 1, "b": 2}) == identity({"b": 2, "a": 1}) != identity({"a": 1})
