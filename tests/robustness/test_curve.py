"""Accuracy against strength on a model whose radius is known exactly."""

import json

import numpy as np
import pytest

from engine.errors import InvalidInputError, UnknownNameError
from engine.robustness.curve import accuracy_curve
from tests.robustness.nets import WEIGHTS, classifier_of, line_data, two_classes, values_of


def test_every_point_is_the_share_of_larger_margins():
    data = line_data()
    margin = np.where(data.test.labels == 1, 1, -1) * values_of(data.test.pixels(np.arange(60)))
    for attack in ("pgd_linf", "fgsm"):
        found = accuracy_curve(classifier_of(two_classes()), data, [0.2005, 0.0505, 0.0505, 0.1005], attack=attack)
        assert found.epsilons == (0.0, 0.0505, 0.1005, 0.2005)
        expected = [(margin > epsilon * np.abs(WEIGHTS).sum()).mean() for epsilon in found.epsilons]
        assert [point.accuracy for point in found.points] == pytest.approx(expected)
        assert len({point.accuracy for point in found.points}) > 2
        assert [line["epsilon"] for line in found.summary()] == list(found.epsilons)
        assert json.loads(json.dumps(found.report(), allow_nan=False))["attack"] == attack


def test_the_papers_steps_unless_told_otherwise():
    found = accuracy_curve(classifier_of(two_classes()), line_data(), [0.1])
    assert found.points[1].plan.settings["steps"] == 10
    assert found.points[1].plan.settings["relative_step"] == pytest.approx(10**-0.5)
    other = accuracy_curve(classifier_of(two_classes()), line_data(), [0.1], settings={"steps": 3}, n_images=5)
    assert (other.points[1].plan.settings["steps"], other.points[1].n) == (3, 5)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"attack": "carlini_wagner"}, "carlini_wagner has none"),
        ({"epsilons": [-0.1]}, "at least 0"),
        ({"epsilons": []}, "at least 0"),
        ({"epsilons": [float("nan")]}, "at least 0"),
        ({"epsilons": [3.0]}, "epsilon: expected a number"),
        ({"settings": {"epsilon": 0.1}}, "leave it out"),
        ({"settings": {"search": True}}, "leave it out"),
    ],
)
def test_what_has_no_curve_is_refused(changes, reason):
    given = {"epsilons": [0.1], **changes}
    with pytest.raises(InvalidInputError, match=reason):
        accuracy_curve(classifier_of(two_classes()), line_data(), **given)


def test_an_unknown_attack_is_named():
    with pytest.raises(UnknownNameError):
        accuracy_curve(classifier_of(two_classes()), line_data(), [0.1], attack="pdg")
