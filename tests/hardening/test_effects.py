"""What hardening changes inside, on a net that is worked out by hand and on the digits."""

import json
from dataclasses import replace

import numpy as np
import pytest

from engine.attacks.catalogue import attacks
from engine.attacks.pairs import attack_pairs
from engine.datasets.catalogue import load_dataset
from engine.errors import Cancelled, InvalidInputError
from engine.hardening.effects import inner_effects, usual_attack
from engine.network.classifiers import load_classifier
from engine.sensitivity.measuring import unit_sensitivity
from tests.attacks.test_contract import assert_same_state, state
from tests.hardening.by_hand import BRIGHT, DARK, classifier, data


def attack(epsilon):
    return attacks["fgsm"].create(epsilon=epsilon)


def test_values_worked_out_by_hand():
    """FGSM moves the first pixel by ε against the class; the second has no gradient and stays."""
    images = data(BRIGHT, DARK, BRIGHT, DARK)
    found = inner_effects([classifier()], images, attack=attack(0.25))
    (view,) = found.views
    first, second = view.layers
    assert np.allclose(first.values, [0.25, 0.0], atol=1e-6)
    assert np.allclose(second.values, [0.25, 0.125], atol=1e-6)
    assert view.misled == 0.5  # 0.8 − 0.25 is still bright, 0.2 + 0.25 is not dark any more
    assert view.class_paths.overall().density() == 3 / 8
    assert view.class_paths.overall().density_per_layer() == {"1": 1 / 4, "2": 2 / 4}
    assert view.similarity == pytest.approx(1 / 3)
    assert (found.n_pairs, found.path_images) == (4, 4)


def test_all_models_are_looked_at_on_the_images_that_all_get_right():
    """With a bias of 0.3 the second model takes the image of 0.55 for dark: the first is not asked about it either."""
    images = data(BRIGHT, 140, DARK)
    plain, other = classifier(), classifier("other", 0.3)
    found = inner_effects([plain, other], images, attack=attack(0.1))
    assert found.n_pairs == 2
    assert [view.model for view in found.views] == ["plain", "other"]
    assert [int(view.class_paths.counts.sum()) for view in found.views] == [3, 2]


def test_a_report_is_plain_and_has_null_where_there_is_no_value():
    found = inner_effects([classifier()], data(BRIGHT, BRIGHT), attack=attack(0.1))
    report = json.loads(json.dumps(found.report(), allow_nan=False))
    assert report["models"][0]["paths"]["similarity"] is None  # one class alone has nobody to be like
    assert report["models"][0]["sensitivity"][0]["units"] == [pytest.approx(0.1), 0.0]
    assert report["attack_settings"]["epsilon"] == 0.1


@pytest.mark.parametrize(
    ("models", "firsts", "sentence"),
    [
        ([], (BRIGHT,), "one or more"),
        ([classifier(), classifier()], (BRIGHT,), "a name of its own"),
        ([classifier(), classifier("other", 9.0)], (BRIGHT, BRIGHT), "none"),
        ([replace(classifier(), image_shape=(3, 4, 4))], (BRIGHT,), r"made for \(3, 4, 4\)"),
        ([replace(classifier(), warning="It is broken.")], (BRIGHT,), "broken"),
    ],
)
def test_what_cannot_be_compared_is_refused(models, firsts, sentence):
    with pytest.raises(InvalidInputError, match=sentence):
        inner_effects(models, data(*firsts), attack=attack(0.1))


def test_the_digits_agree_with_the_sensitivity_analysis_and_nothing_is_changed():
    digits, lenet = load_dataset("digits"), load_classifier("lenet5-digits")
    before = state(lenet.module)
    found = inner_effects([lenet], digits, n_images=20, path_images=30, seed=3)
    assert_same_state(lenet.module, before)
    (view,) = found.views
    assert [layer.name for layer in view.layers] == ["conv1", "conv2"]
    pairs = attack_pairs(lenet.module, digits.test, usual_attack(digits), n_images=found.n_pairs, seed=3)
    expected = unit_sensitivity(lenet.module, pairs, layers=["conv1", "conv2"])
    for mine, theirs in zip(view.layers, expected.layers, strict=True):
        assert np.allclose(mine.values, theirs.values)
    assert 0 < view.similarity < 1

    def stop(fraction, message):
        if fraction > 0.3:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        inner_effects([lenet], digits, n_images=20, path_images=30, progress=stop)
