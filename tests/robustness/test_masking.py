"""Checks for gradient masking: by hand, on a model that is as it seems, and on two that mask."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.datasets.catalogue import load_dataset
from engine.errors import Cancelled
from engine.network.classifiers import load_classifier
from engine.robustness.curve import RobustnessCurve
from engine.robustness.masking import (
    black_box_stronger,
    gradient_vanishes,
    noise_as_bad,
    rising_with_strength,
    single_step_stronger,
    unbounded_survived,
    with_checks,
)
from engine.robustness.plans import AttackPlan
from engine.robustness.probes import Probes, probe
from engine.robustness.study import robustness_study
from engine.robustness.table import table_of
from tests.attacks.test_contract import assert_same_state, state
from tests.robustness.nets import Changed, classifier_of, clean_row, data_of, first, line_data, row, table, two_classes

CLEAN = clean_row(first(90))


def spsa(correct, **settings):
    return row("SPSA", correct, attack="spsa", settings={"epsilon": 0.1, **settings}, family="black-box")


def fgsm(correct, **settings):
    return row("FGSM", correct, attack="fgsm", settings={"epsilon": 0.1, **settings})


def curve_of(*counts):
    epsilons = tuple(0.1 * place for place in range(len(counts) + 1))
    points = zip(epsilons[1:], counts, strict=True)
    rows = [CLEAN, *(row(f"PGD {epsilon}", first(n), settings={"epsilon": epsilon}) for epsilon, n in points)]
    return RobustnessCurve("pgd_linf", epsilons, table(rows))


def probes_of(*, large=0, noise=(), right=90, zero=0, clean=CLEAN):
    noisy = tuple(row(f"noise {place}", first(n), attack="", family="noise") for place, n in enumerate(noise))
    return Probes(clean, row("large", first(large), settings={"epsilon": 0.5}), noisy, right, zero)


def test_black_box_beats_the_best_white_box():
    # PGD leaves 40, FGSM 60, SPSA 30 of the same 100: ten images, all one way, p = 2⁻¹⁰.
    found = black_box_stronger(table([CLEAN, row("PGD", first(40)), fgsm(first(60)), spsa(first(30))]))
    assert found.verdict == "warning"
    assert found.numbers["p"] == pytest.approx(2**-10)
    assert found.numbers["images only it breaks"] == 10
    assert found.concerned == ("PGD", "FGSM")
    assert "leaves 30.0% of 100 images right" in found.sentence
    assert "PGD, leaves 40.0%" in found.sentence


@pytest.mark.parametrize(
    "rows",
    [
        [row("PGD", first(40)), fgsm(first(60)), spsa(first(50))],  # stronger than one of them only
        [row("PGD", first(40)), spsa(first(36))],  # four images are chance
        [row("PGD", first(40)), spsa(first(40))],
    ],
)
def test_black_box_that_is_no_stronger_passes(rows):
    assert black_box_stronger(table([CLEAN, *rows])).verdict == "passed"


@pytest.mark.parametrize(
    "rows",
    [
        [row("PGD", first(40))],
        [row("PGD", first(40)), spsa(first(10), epsilon=0.2)],  # another radius
        [row("PGD", first(40), attack="pgd_l2"), spsa(first(10))],  # another norm
        [row("PGD", first(40)), replace(spsa(first(0, 20)))],  # too few
    ],
)
def test_without_a_rival_in_the_same_ball_nothing_is_checked(rows):
    found = black_box_stronger(table([CLEAN, *rows]))
    assert (found.verdict, found.numbers) == ("not checked", {})


def test_a_slow_attack_is_paired_on_its_own_images():
    # On the first 40 images PGD leaves 40 and SPSA 30, whatever becomes of the others.
    found = black_box_stronger(table([CLEAN, row("PGD", first(40)), spsa(first(30, 40))]))
    assert (found.verdict, found.numbers["accuracy under the strongest other"]) == ("warning", 1.0)


def test_one_step_beats_many():
    assert single_step_stronger(table([CLEAN, row("PGD", first(40)), fgsm(first(20))])).verdict == "warning"
    assert single_step_stronger(table([CLEAN, row("PGD", first(20)), fgsm(first(40))])).verdict == "passed"
    assert single_step_stronger(table([CLEAN, row("PGD", first(20))])).verdict == "not checked"


def test_accuracy_that_rises_with_strength():
    found = rising_with_strength(curve_of(50, 30, 60))
    assert found.verdict == "warning"
    assert found.numbers["p"] == pytest.approx(3 * 2**-30)
    assert "from 30.0% at ε = 0.2 to 60.0% at ε = 0.3" in found.sentence
    assert rising_with_strength(curve_of(50, 30, 34)).verdict == "passed"
    assert rising_with_strength(curve_of(50)).verdict == "not checked"


@settings(deadline=None)
@given(st.lists(st.integers(0, 90), min_size=2, max_size=6))
def test_a_falling_curve_never_warns(counts):
    assert rising_with_strength(curve_of(*sorted(counts, reverse=True))).verdict == "passed"


def test_room_for_any_change():
    assert unbounded_survived(probes_of(large=0)).verdict == "passed"
    assert unbounded_survived(probes_of(large=4)).verdict == "passed"
    found = unbounded_survived(probes_of(large=30))
    assert (found.verdict, found.numbers["accuracy"]) == ("warning", 0.3)
    assert unbounded_survived(probes_of(clean=clean_row(first(10)))).verdict == "not checked"


def test_gradients_that_are_zero():
    assert gradient_vanishes(probes_of(zero=0)).verdict == "passed"
    assert gradient_vanishes(probes_of(zero=50)).verdict == "warning"
    assert gradient_vanishes(probes_of(right=20, zero=20)).verdict == "not checked"


def test_noise_against_pgd():
    curve = curve_of(60, 40)
    assert noise_as_bad(curve, probes_of(noise=(85, 70))).verdict == "passed"
    found = noise_as_bad(curve, probes_of(noise=(80, 42)))
    assert (found.verdict, found.numbers["accuracy under noise"]) == ("warning", 0.42)
    assert noise_as_bad(curve, probes_of(noise=(90, 89))).verdict == "not checked"  # noise does no harm
    assert noise_as_bad(curve_of(0, 0), probes_of(noise=(5, 0))).verdict == "not checked"  # nothing is left to break


def test_a_warning_stands_beside_the_numbers_it_puts_in_doubt():
    rows = [CLEAN, row("PGD", first(40)), row("PGD L2", first(50), attack="pgd_l2"), spsa(first(30))]
    found = with_checks(table(rows), None, None)
    assert [check.name for check in found.checks] == ["black-box", "single-step"]
    assert len(found.warnings_for("PGD")) == 1
    assert found.warnings_for("PGD L2") == found.warnings_for("Clean") == ()
    assert [line["warning"] for line in found.summary()] == ["", "!", "", ""]
    assert table_of(found.report()).checks == found.checks
    everything = with_checks(table(rows), curve_of(60, 40), probes_of(large=30, noise=(85, 70)))
    assert len(everything.checks) == 6
    assert len(everything.warnings_for("PGD L2")) == 1
    assert everything.warnings_for("SPSA") == ()


SPSA = {"directions": 16, "steps": 15, "learning_rate": 0.05}
PLANS = (
    AttackPlan("PGD L∞ 0.1", "pgd_linf", {"epsilon": 0.1, "steps": 10, "relative_step": 0.25}),
    AttackPlan("FGSM 0.1", "fgsm", {"epsilon": 0.1}),
    AttackPlan("SPSA 0.1", "spsa", {"epsilon": 0.1, **SPSA}, "black-box", images=40),
)


def studied(change, **settings):
    plain = load_classifier("lenet5-digits")
    module = change(plain.module)
    return robustness_study(
        replace(plain, module=module), load_dataset("digits"), plans=PLANS, n_images=50, curve_images=40, **settings
    )


def warned(study):
    return {check.name for check in study.table.checks if check.verdict == "warning"}


def test_a_plain_model_is_not_warned_of():
    found = studied(lambda module: module)
    assert warned(found) == set()
    verdicts = {check.name: check.verdict for check in found.table.checks}
    assert verdicts["black-box"] == verdicts["large radius"] == verdicts["zero gradient"] == "passed"
    assert found.curve.points[-1].accuracy < found.curve.points[1].accuracy <= found.table.clean.accuracy
    assert found.report()["table"]["checks"][0]["verdict"] == "passed"


def test_saturated_logits_are_caught():
    found = studied(lambda module: Changed(module, scale=1e4))
    assert warned(found) >= {"black-box", "large radius", "zero gradient"}
    assert len(found.table.warnings_for("PGD L∞ 0.1")) >= 3
    assert found.table.warnings_for("SPSA 0.1") == ()


def test_a_quantised_input_is_caught():
    found = studied(lambda module: Changed(module, levels=8))
    assert warned(found) >= {"large radius", "zero gradient"}  # probes of 0.01 seldom cross a level: SPSA fails too


def test_probing_leaves_the_model_alone(net, images, labels):
    data = data_of((images.numpy() * 255).round(), labels.numpy(), classes=3)
    classifier = classifier_of(net, classes=3, shape=(2, 5, 5))
    before, seen = state(net), []
    probe(classifier, data, [0.1], progress=lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen)
    assert_same_state(net, before)
    for stop_at in (2, len(seen) - 1):
        calls = []

        def stop(fraction, message, calls=calls, stop_at=stop_at):
            calls.append(fraction)
            if len(calls) == stop_at:
                raise Cancelled("stop")

        with pytest.raises(Cancelled):
            probe(classifier, data, [0.1], progress=stop)
        assert_same_state(net, before)


def test_noise_is_the_same_for_every_model_and_keeps_to_its_radius():
    data = line_data()
    found = probe(classifier_of(two_classes()), data, [0.0, 0.001, 0.5])
    again = probe(classifier_of(two_classes(), name="again"), data, [0.5])
    np.testing.assert_array_equal(found.noise[0].correct, found.clean.correct)
    np.testing.assert_array_equal(found.noise[2].correct, again.noise[0].correct)
    assert found.images_right == 54
    assert found.images_without_gradient == 0
