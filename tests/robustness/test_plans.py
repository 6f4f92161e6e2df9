"""Plans and presets: what is in the papers, and that all of it can run."""

from dataclasses import replace

import pytest

from engine.attacks import attacks
from engine.datasets.catalogue import load_dataset
from engine.errors import InvalidInputError, UnknownNameError
from engine.robustness import presets
from engine.robustness.plans import CLEAN, FAMILIES, AttackPlan, limited, plan_of
from engine.robustness.presets import PRESETS, preset, preset_for
from tests.robustness.nets import data_of, line_data

every_preset = pytest.mark.parametrize("name", list(PRESETS))


@every_preset
def test_every_plan_of_a_preset_can_be_made(name):
    chosen = preset(name)
    labels = [plan.label for plan in chosen.plans]
    assert len(set(labels)) == len(labels)
    assert chosen.name == name
    for plan in chosen.plans:
        made = plan.method()
        assert made.settings == {**made.settings, **plan.settings}
        assert plan.family == FAMILIES[attacks[plan.attack].facts["family"]]
        assert (plan.images is None) == (plan.family in ("white-box", "noise"))
    assert chosen.epsilons[0] == 0
    assert list(chosen.epsilons) == sorted(set(chosen.epsilons))


@every_preset
def test_black_box_attacks_have_a_white_box_one_of_their_ball(name):
    plans = preset(name).plans
    for black in (plan for plan in plans if plan.family == "black-box"):
        assert any(p.family == "white-box" and (p.norm, p.radius) == (black.norm, black.radius) for p in plans)


def test_colour_is_the_setting_of_the_paper_but_for_lighter_black_boxes():
    plans = {plan.label: plan for plan in preset("colour").plans}
    assert set(plans) >= {
        "C&W L2", "PGD L2 80/255", "PGD L∞ 8/255", "PGD L∞ 2/255", "FGSM 8/255", "MI-FGSM 8/255", "Step-LL 8/255",
        "SPSA 8/255", "NAttack 8/255", *(f"Gaussian noise {level}" for level in range(1, 6)),
    }  # fmt: skip
    for label, plan in plans.items():
        if "8/255" in label:
            assert plan.radius == pytest.approx(8 / 255)
    assert plans["PGD L2 80/255"].radius == pytest.approx(80 / 255)
    for label in ("PGD L2 80/255", "PGD L∞ 8/255", "PGD L∞ 2/255"):
        assert (plans[label].settings["steps"], plans[label].settings["relative_step"]) == (10, 10**-0.5)
    momentum, spsa = plans["MI-FGSM 8/255"].settings, plans["SPSA 8/255"].settings
    assert (momentum["steps"], momentum["relative_step"]) == (10, 0.1)
    assert (spsa["directions"], spsa["learning_rate"], spsa["steps"]) == (128, 0.03, 40)  # lighter: minutes a table
    nattack, cw = plans["NAttack 8/255"].settings, plans["C&W L2"].settings
    assert (nattack["samples"], nattack["sigma"], nattack["steps"]) == (100, 0.1, 50)
    assert (cw["initial_c"], cw["kappa"], cw["search_steps"], cw["steps"]) == (0.01, 0, 3, 300)


@pytest.mark.parametrize("name", ["colour", "mnist"])
def test_the_yardstick_is_there_or_said_to_be_missing(name, monkeypatch):
    monkeypatch.setattr(presets, "is_installed", lambda: False)
    without = preset(name)
    assert not [plan for plan in without.plans if plan.attack == "auto_attack"]
    assert "pip install pyautoattack" in without.left_out[0]
    monkeypatch.setattr(presets, "is_installed", lambda: True)
    monkeypatch.setitem(attacks._entries, "auto_attack", attacks["fgsm"])
    there = preset(name)
    assert there.plans[-1].attack == "auto_attack"
    assert (there.plans[-1].family, there.plans[-1].norm, there.left_out) == ("yardstick", "linf", ())


def test_a_data_set_has_its_preset():
    assert preset_for(load_dataset("digits")).name == "digits"
    assert preset_for(line_data()).name == "mnist"
    colour = data_of(load_dataset("digits").test.pixels([0, 1]).repeat(3, axis=1), [0, 1])
    assert preset_for(colour).name == "colour"
    with pytest.raises(UnknownNameError, match="known: colour, mnist, digits"):
        preset("imagenet")


def test_norm_and_radius():
    assert AttackPlan("a", "pgd_l2", {"epsilon": 1.5}).norm == "l2"
    assert AttackPlan("a", "auto_attack", {"norm": "l2", "epsilon": 0.5}, "yardstick").norm == "l2"
    assert AttackPlan("a", "fgsm", {"epsilon": 0.3, "search": True}).radius is None
    assert AttackPlan("a", "carlini_wagner").radius is None
    assert (CLEAN.norm, CLEAN.radius, CLEAN.completed()) == ("none", None, CLEAN)


def test_a_plan_from_the_command_line():
    plan = plan_of("pgd_linf", {"epsilon": "0.2", "steps": "7"})
    assert (plan.label, plan.family) == ("PGD L∞ (epsilon 0.2, steps 7)", "white-box")
    assert plan.settings == {**attacks["pgd_linf"].create().settings, "epsilon": 0.2, "steps": 7}
    assert plan_of("spsa", images=5).images == 5
    assert (plan_of("spsa").label, plan_of("spsa").family) == ("SPSA", "black-box")


def test_limits_change_for_slow_attacks_alone():
    plans = (AttackPlan("a", "fgsm"), AttackPlan("b", "spsa", images=100))
    assert limited(plans, 7) == (plans[0], replace(plans[1], images=7))
    with pytest.raises(InvalidInputError, match="at least 1"):
        limited(plans, 0)
