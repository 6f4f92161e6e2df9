"""Tables whose every number is known beforehand."""

import json
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from engine.attacks import Attack, attacks
from engine.attacks.bounded import LINF_EPSILON
from engine.attacks.gaussian_noise import GaussianNoise
from engine.errors import Cancelled, EngineError, InvalidInputError, UnknownNameError
from engine.registry import Entry
from engine.robustness.evaluation import evaluate
from engine.robustness.plans import AttackPlan
from engine.robustness.table import table_of
from tests.attacks.nets import linear, smooth
from tests.attacks.test_contract import assert_same_state, state
from tests.robustness.nets import WEIGHTS, classifier_of, data_of, line_data, two_classes, values_of

FGSM = AttackPlan("FGSM 0.1", "fgsm", {"epsilon": 0.1})
NOISE = AttackPlan("Noise", "gaussian_noise", {"severity": 5}, "noise")


@dataclass(frozen=True)
class Brighten(Attack):
    """Adds ε to every pixel: what it does to a linear model is known."""

    name = "brighten"
    targetable = False
    parameters = (LINF_EPSILON,)

    epsilon: float = 0.1

    def perturb(self, model, images, labels, targets, generator, progress):
        return images + self.epsilon


@pytest.fixture
def brighten(monkeypatch):
    facts = {"norm": "linf", "targeted": False, "family": "gradient", "presets": {}}
    entry = Entry("brighten", "Brighten", Brighten, Brighten.parameters, facts=facts)
    monkeypatch.setitem(attacks._entries, "brighten", entry)
    return AttackPlan("Brighten", "brighten", {"epsilon": 0.2})


def test_a_table_worked_out_by_hand(brighten):
    # Logits (0, x − 0.5) of one pixel. Right without an attack: 30, 60, 200 and 100; brightened by 51/255, 100 turns to
    # class 1. 140 is labelled wrongly and stays wrong although brightening does not matter; 20 of class 1 is wrong.
    model = linear([[0.0], [1.0]], [0.0, -0.5])
    pixels = np.array([30, 60, 200, 100, 140, 20])[:, None, None, None]
    data = data_of(pixels, [0, 0, 1, 0, 0, 1])
    found = evaluate(classifier_of(model, shape=(1, 1, 1)), data, [brighten])
    assert [row.plan.label for row in found.rows] == ["Clean", "Brighten"]
    assert found.clean.correct.tolist() == [True, True, True, True, False, False]
    row = found["Brighten"]
    assert row.correct.tolist() == [True, True, True, False, False, False]
    assert (row.accuracy, row.n, row.survives_rounding) == (0.5, 6, 1.0)
    assert row.interval == pytest.approx((0.1876, 0.8124), abs=5e-5)
    assert (row.l2, row.linf) == pytest.approx((0.2, 0.2))
    assert row.seconds >= 0
    assert math.isnan(found.clean.l2)
    assert row.plan.settings == {"epsilon": 0.2}


# Between the multiples of 1/255 / ‖w‖₁, so that no image lies on the boundary itself.
@pytest.mark.parametrize("epsilon", [0.0105, 0.0505, 0.1005, 0.2005])
def test_fgsm_flips_a_linear_model_exactly_within_its_margin(epsilon):
    data = line_data()
    pixels = data.test.pixels(np.arange(60))
    margin = np.where(data.test.labels == 1, 1, -1) * values_of(pixels)
    found = evaluate(classifier_of(two_classes()), data, [AttackPlan("FGSM", "fgsm", {"epsilon": epsilon})])
    assert found.clean.correct.tolist() == (margin > 0).tolist()
    np.testing.assert_array_equal(found["FGSM"].correct, margin > epsilon * np.abs(WEIGHTS).sum())


def test_the_first_images_and_fewer_for_a_slow_attack():
    data, classifier = line_data(), classifier_of(two_classes())
    slow = replace(FGSM, label="Slow", images=7)
    found = evaluate(classifier, data, [FGSM, slow], n_images=20)
    assert (found.n_images, found["FGSM 0.1"].n, found["Slow"].n) == (20, 20, 7)
    np.testing.assert_array_equal(found["Slow"].correct, found["FGSM 0.1"].correct[:7])
    whole = evaluate(classifier, data, [FGSM], n_images=1000)
    assert whole.n_images == 60
    np.testing.assert_array_equal(whole["FGSM 0.1"].correct[:20], found["FGSM 0.1"].correct)
    assert whole.images_key != found.images_key
    assert evaluate(classifier, data, [], n_images=20).images_key == found.images_key


def test_an_image_meets_the_same_noise_in_every_model():
    data, seen = line_data(), []

    class Watched(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            seen.append(x.clone())
            return self.inner(x)

    for inner in (two_classes(), linear([[0.0] * 3, [-1.0, 1.0, 1.0]], [0.0, -0.5])):
        evaluate(classifier_of(Watched(inner)), data, [NOISE])
    half = len(seen) // 2
    assert all(torch.equal(first, second) for first, second in zip(seen[:half], seen[half:], strict=True))


def test_nan_is_never_right_and_is_not_attacked():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = two_classes()

        def forward(self, x):
            logits = self.inner(x)
            return torch.where(x[:, 0, 0, :1] < 100 / 255, torch.nan, logits)

    data = line_data()
    sound = data.test.pixels(np.arange(60))[:, 0, 0, 0] >= 100
    plain = evaluate(classifier_of(two_classes()), data, [replace(FGSM, settings={"epsilon": 0.0})])
    found = evaluate(classifier_of(Broken()), data, [replace(FGSM, settings={"epsilon": 0.0})])
    assert not sound.all()
    np.testing.assert_array_equal(found.clean.correct, plain.clean.correct & sound)
    np.testing.assert_array_equal(found["FGSM 0.1"].correct, plain.clean.correct & sound)
    everywhere = evaluate(classifier_of(linear([[torch.nan] * 3, [0.0] * 3], [0.0, 0.0])), data, [FGSM])
    assert everywhere.clean.accuracy == everywhere["FGSM 0.1"].accuracy == 0


def test_nan_under_attack_fails_with_the_reason():
    class Fragile(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = two_classes()

        def forward(self, x):
            return torch.where(x.amax(dim=(1, 2, 3), keepdim=True)[:, 0, 0] > 0.7, torch.nan, self.inner(x))

    with pytest.raises(EngineError, match="finite"):
        evaluate(classifier_of(Fragile()), line_data(), [FGSM])


def test_results_are_kept_and_read_again(tmp_path):
    data, classifier = line_data(), classifier_of(two_classes())
    first = evaluate(classifier, data, [FGSM, NOISE], folder=tmp_path)
    again = evaluate(classifier, data, [FGSM, NOISE], folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    for one, two in zip(first.rows[1:], again.rows[1:], strict=True):
        np.testing.assert_array_equal(one.correct, two.correct)
        assert not math.isnan(one.seconds)
        assert math.isnan(two.seconds)


def test_the_report_is_plain_and_makes_the_table_again():
    found = evaluate(classifier_of(two_classes()), line_data(), [FGSM, NOISE], left_out=["AutoAttack: not here."])
    again = table_of(json.loads(json.dumps(found.report(), allow_nan=False)))
    assert again.report() == found.report()
    np.testing.assert_array_equal(again["Noise"].correct, found["Noise"].correct)
    assert again["Noise"].plan == found["Noise"].plan
    assert math.isnan(again.clean.l2)
    assert again.left_out == ("AutoAttack: not here.",)
    for broken in ({}, {**found.report(), "rows": [{}]}, {**found.report(), "checks": [{"x": 1}]}):
        with pytest.raises(InvalidInputError, match="report of a robustness table"):
            table_of(broken)
    with pytest.raises(InvalidInputError, match="expected one of Clean, FGSM"):
        found["PGD"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"plans": [FGSM, FGSM]}, "'FGSM 0.1' twice"),
        ({"plans": [replace(FGSM, label="Clean")]}, "'Clean' twice"),
        ({"plans": [replace(FGSM, settings={"epsilon": 7})]}, "epsilon: expected a number"),
        ({"plans": [replace(FGSM, settings={"strength": 1})]}, "has no setting 'strength'"),
        ({"plans": [replace(FGSM, images=0)]}, "at least one image"),
        ({"n_images": 0}, "at least one; got 0"),
        ({"classifier": classifier_of(two_classes(), shape=(1, 1, 4))}, "Take the data set it was made for"),
        ({"classifier": classifier_of(two_classes(), classes=3)}, "in 3 classes"),
        ({"classifier": classifier_of(two_classes(), warning="weights are NaN")}, "weights are NaN"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(changes, reason):
    given_ = {"classifier": classifier_of(two_classes()), "data": line_data(), "plans": [FGSM], **changes}

    def fail(fraction, message):
        raise AssertionError("work has begun")

    with pytest.raises(InvalidInputError, match=reason):
        evaluate(**given_, progress=fail)


def test_an_unknown_attack_is_named():
    with pytest.raises(UnknownNameError, match="fgsm"):
        evaluate(classifier_of(two_classes()), line_data(), [replace(FGSM, attack="fgms")])


def test_progress_rises_to_one_and_cancelling_leaves_the_model_alone(net, images, labels, tmp_path):
    pixels = (images.numpy() * 255).round()
    data = data_of(pixels, labels.numpy(), classes=3)
    classifier = classifier_of(net, classes=3, shape=(2, 5, 5))
    plans = [FGSM, AttackPlan("PGD", "pgd_linf", {"steps": 3}), NOISE]
    before, seen = state(net), []
    evaluate(classifier, data, plans, progress=lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 1)
    assert_same_state(net, before)
    for stop_at in (1, len(seen) // 2, len(seen) - 1):
        calls = []

        def stop(fraction, message, calls=calls, stop_at=stop_at):
            calls.append(fraction)
            if len(calls) == stop_at:
                raise Cancelled("stop")

        with pytest.raises(Cancelled):
            evaluate(classifier, data, plans, folder=tmp_path / str(stop_at), progress=stop)
        assert_same_state(net, before)
    assert len(list((tmp_path / str(len(seen) - 1)).iterdir())) >= 2, "finished attacks are kept"


def test_works_inside_inference_mode():
    classifier, data = classifier_of(two_classes()), line_data()
    expected = evaluate(classifier, data, [FGSM, NOISE])
    with torch.inference_mode():
        found = evaluate(classifier, data, [FGSM, NOISE])
    for one, two in zip(expected.rows, found.rows, strict=True):
        np.testing.assert_array_equal(one.correct, two.correct)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), epsilon=st.floats(0, 0.3), n=st.integers(1, 12))
def test_no_attack_makes_a_model_better(seed, epsilon, n):
    model = smooth(4, seed)
    random = np.random.default_rng(seed)
    data = data_of(random.integers(0, 256, (12, 3, 8, 8)), random.integers(0, 4, 12), classes=4)
    plans = [AttackPlan("FGSM", "fgsm", {"epsilon": epsilon}), NOISE]
    found = evaluate(classifier_of(model, classes=4, shape=(3, 8, 8)), data, plans, n_images=n, seed=seed)
    for row in found.rows:
        assert not (row.correct & ~found.clean.correct).any()
        assert row.interval[0] <= row.accuracy <= row.interval[1]
    if epsilon == 0:
        np.testing.assert_array_equal(found["FGSM"].correct, found.clean.correct)


def test_completed_plans_hold_every_setting():
    found = evaluate(classifier_of(two_classes()), line_data(), [AttackPlan("Noise", "gaussian_noise", {}, "noise")])
    assert found["Noise"].plan.settings == GaussianNoise().settings
