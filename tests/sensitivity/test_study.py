"""Strength, comparison, the whole study and its report; what they leave behind on the model; the verb."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from engine.attacks.catalogue import attacks
from engine.attacks.pairs import attack_pairs
from engine.command_line import main
from engine.errors import Cancelled, InvalidInputError
from engine.network.classifiers import load_classifier
from engine.sensitivity.comparison import compare
from engine.sensitivity.importance import unit_importance
from engine.sensitivity.measuring import unit_sensitivity
from engine.sensitivity.report import report_of, write_report
from engine.sensitivity.strength import ratio_by_strength
from engine.sensitivity.study import SensitivitySettings, run_sensitivity
from engine.sensitivity.suppression import suppress
from tests.paths.nets import build
from tests.sensitivity.nets import random_pairs


def test_strength_measures_each_attack_by_itself(classifier, digits, study):
    curve = study.strength
    for at, epsilon in enumerate((0.1, 0.3)):
        attack = attacks["fgsm"].create(epsilon=epsilon)
        pairs = attack_pairs(classifier.module, digits.test, attack, n_images=30)
        layers = unit_sensitivity(classifier.module, pairs).layers
        np.testing.assert_allclose(curve.ratios[at], [layer.mean_ratio for layer in layers])
        assert curve.success[at] == pairs.misled.mean()
    assert curve.layers == ("conv1", "conv2", "fc1", "fc2", "fc3")
    assert (curve.ratios[1] > curve.ratios[0]).all()
    np.testing.assert_array_equal(curve.strengths, [0.1, 0.3])
    assert "epsilon" not in curve.settings


@pytest.mark.parametrize(
    ("attack", "settings", "strengths", "message"),
    [
        ("deepfool", {}, [0.1], "fixed strength"), ("fgsm", {"search": True}, [0.1], "fixed strength"),
        ("fgsm", {}, [], "at least one"), ("fgsm", {}, [0.1, 7], "epsilon"),
    ],
)  # fmt: skip
def test_what_has_no_strength_is_refused(classifier, digits, attack, settings, strengths, message):
    with pytest.raises(InvalidInputError, match=message):
        ratio_by_strength(classifier.module, digits.test, attack, strengths, settings=settings, n_images=2)


def test_models_of_other_architectures_see_the_same_pairs():
    pairs, models = random_pairs(), {"a": build("strided"), "b": build("residual")}
    found = compare(models, pairs)
    assert [layer.name for layer in found.models["b"].layers] == ["stem", "body", "head"]
    for name, model in models.items():
        with torch.no_grad():
            own = replace(pairs, predictions=model(pairs.adversarial).argmax(dim=1).numpy())
        alone = unit_sensitivity(model, own)
        for mine, theirs in zip(found.models[name].layers, alone.layers, strict=True):
            np.testing.assert_array_equal(mine.values, theirs.values)
            np.testing.assert_array_equal(mine.pairs_per_class, theirs.pairs_per_class)
        assert found.misled[name] == own.misled.mean()


def test_a_study_holds_what_its_parts_give(classifier, study, settings):
    model, pairs = classifier.module, study.pairs
    direct = unit_sensitivity(model, pairs)
    for mine, theirs in zip(study.sensitivity.layers, direct.layers, strict=True):
        np.testing.assert_array_equal(mine.values, theirs.values)
    importance = unit_importance(model, pairs)
    np.testing.assert_array_equal(study.penultimate.importance.votes, importance.votes)
    assert study.penultimate.sensitivity.name == importance.layer == "fc2:act"
    assert len(study.penultimate.agreement) == len(importance.classes) > 1
    assert [one.name for one in study.agreement] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert [one.layer for one in study.suppression] == ["conv1", "conv2", "fc1", "fc2", "all layers"]
    assert list(study.comparison.models) == ["lenet5-mnist"]
    assert study.reason == ""
    assert set(study.seconds) == {
        "attack", "sensitivity", "importance", "suppression", "strength", "other models"
    }  # fmt: skip


def test_a_seed_gives_the_same_study(classifier, digits, study, settings):
    again = report_of(run_sensitivity(classifier, digits, settings), classifier)
    first = report_of(study, classifier)
    for key in ("layers", "importance", "agreement", "suppression", "strength", "indices"):
        assert again[key] == first[key]


def test_the_report_is_json_without_nan(study, classifier, tmp_path):
    others = [load_classifier("lenet5-mnist")]
    write_report(tmp_path / "study.json", study, classifier, others)
    read = json.loads((tmp_path / "study.json").read_text(), parse_constant=lambda text: pytest.fail(text))
    assert read == report_of(study, classifier, others)
    assert (read["model"], read["pairs"], len(read["indices"]), read["misled"]) == (
        "lenet5-digits", 30, 30, pytest.approx(study.pairs.misled.mean()),
    )  # fmt: skip
    fc2 = next(layer for layer in read["layers"] if layer["name"] == "fc2")
    assert fc2["units"] == len(fc2["sensitivity"]) == len(fc2["ratio"]) == len(fc2["left_out"]) == 84
    one = read["importance"]["classes"][0]
    assert len(one["importance"]) == len(one["votes"]) == len(one["sensitivity"]) == 84
    together = read["suppression"][-1]
    assert together["layer"] == "all layers"
    assert np.shape(together["control"]["adversarial"]) == (2, 2)
    assert np.shape(together["sensitive"]["clean"]) == (2,)
    assert np.shape(read["strength"]["ratio"]) == (2, 5)
    assert read["models"][0]["label"] == others[0].label
    assert read["settings"]["strengths"] == [0.1, 0.3]


def test_what_is_not_a_number_is_null(study, classifier):
    layer = study.sensitivity.layers[0]
    silent = replace(layer, ratios=np.full_like(layer.ratios, np.nan))
    changed = replace(study, sensitivity=replace(study.sensitivity, layers=(silent,)))
    read = report_of(changed, classifier)["layers"][0]
    assert read["mean_ratio"] is None
    assert set(read["ratio"]) == {None}


def test_an_attack_without_strength_has_no_curve_and_a_model_without_linear_end_no_importance(classifier, digits):
    settings = SensitivitySettings(attack="deepfool", n_images=4, betas=(0.5,), draws=1)
    pooled = torch.nn.Sequential(
        torch.nn.Conv2d(1, 10, 28), torch.nn.ReLU(), torch.nn.Conv2d(10, 10, 1), torch.nn.Flatten()
    )
    torch.manual_seed(0)
    study = run_sensitivity(replace(classifier, module=pooled.eval()), digits, settings)
    read = report_of(study, classifier)
    assert read["strength"] is None
    assert read["importance"] is None
    assert "linear layer" in read["reason"]
    json.dumps(read, allow_nan=False)


@pytest.mark.parametrize(
    ("settings", "strengths"),
    [
        ({"attack_settings": {"epsilon": 0.2}}, (0.05, 0.1, 0.15, 0.2)), ({"strengths": (0.3,)}, (0.3,)),
        ({"strengths": ()}, ()), ({"attack": "deepfool"}, ()), ({"attack_settings": {"search": True}}, ()),
        ({"attack_settings": {"epsilon": 0.0}}, (0.0,)),
    ],
)  # fmt: skip
def test_strengths_are_parts_of_the_attacks_own_unless_given(settings, strengths):
    assert SensitivitySettings(**settings).chosen_strengths() == pytest.approx(strengths)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"n_images": 0}, "images"), ({"k": 0}, "k:"), ({"share": 2.0}, "share"), ({"betas": (2.0,)}, "betas")],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InvalidInputError, match=message):
        SensitivitySettings(**settings)


def test_what_cannot_be_studied_is_refused_before_the_attack(classifier, digits, settings):
    def stop(fraction, message):
        pytest.fail("work began")

    wrong = replace(settings, attack="deepfool", attack_settings={})
    with pytest.raises(InvalidInputError, match="fixed strength"):
        run_sensitivity(classifier, digits, wrong, progress=stop)
    with pytest.raises(InvalidInputError, match="name of its own"):
        run_sensitivity(classifier, digits, settings, others=[classifier, classifier], progress=stop)
    with pytest.raises(InvalidInputError, match="broken"):
        run_sensitivity(replace(classifier, warning="broken"), digits, settings, progress=stop)
    with pytest.raises(InvalidInputError, match="images of shape"):
        run_sensitivity(
            classifier, digits, settings, others=[replace(classifier, image_shape=(3, 32, 32))], progress=stop
        )


ANALYSES = {
    "sensitivity": unit_sensitivity,
    "importance": unit_importance,
    "suppression": lambda model, pairs, **keywords: suppress(
        model, pairs, unit_sensitivity(model, random_pairs()), betas=(0.5,), draws=1, **keywords
    ),
    "comparison": lambda model, pairs, **keywords: compare({"one": model}, pairs, **keywords),
}


@pytest.mark.parametrize("name", ANALYSES)
def test_nothing_remains_on_the_model(name, untouched):
    model = build("residual").train()
    model.norm.eval()
    model.stem.weight.requires_grad_(False)
    still, pairs, analysis = untouched(model), random_pairs(), ANALYSES[name]
    analysis(model, pairs)
    assert still()

    def stop(fraction, message):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        analysis(model, pairs, progress=stop)
    assert still()

    def broken():
        yield pairs
        raise OSError("the disk is gone")

    if name != "comparison":
        with pytest.raises(OSError, match="gone"):
            analysis(model, broken())
        assert still()


def test_a_study_can_be_stopped_anywhere(classifier, digits, untouched):
    settings = SensitivitySettings(attack="fgsm", n_images=4, betas=(0.5,), draws=1, strengths=(0.1,))
    still, seen = untouched(classifier.module), []
    run_sensitivity(classifier, digits, settings, progress=lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1
    for last in (0.31, 0.5, 0.66, 0.94):

        def stop(fraction, message, last=last):
            if fraction >= last:
                raise Cancelled("stop")

        with pytest.raises(Cancelled):
            run_sensitivity(classifier, digits, settings, progress=stop)
        assert still()


def run(*arguments):
    return CliRunner().invoke(main, ["sensitivity", *map(str, arguments)])


def test_the_verb_prints_tables_and_writes_the_report(tmp_path):
    few = ("--attack", "fgsm", "--set", "epsilon=0.3", "--images", 12, "--strength", 0.2)
    file = tmp_path / "units.json"
    result = run("lenet5-digits", *few, "--against", "lenet5-mnist", "--activated", "--output", file, "--json")
    assert result.exit_code == 0, result.output
    printed, written = json.loads(result.stdout), json.loads(file.read_text())
    assert printed["images"] == written["pairs"] == 12
    assert [row["layer"] for row in printed["layers"]] == [layer["name"] for layer in written["layers"]]
    assert printed["layers"][0]["layer"] == "conv1:act"
    for row, layer in zip(printed["layers"], written["layers"], strict=True):
        order = sorted(range(layer["units"]), key=lambda unit: -layer["sensitivity"][unit])
        assert row["most sensitive units"][0] == order[0]
        assert row["mean sensitivity"] == pytest.approx(np.mean(layer["sensitivity"]))
    assert [row["epsilon"] for row in printed["strength"]] == written["strength"]["strengths"] == [0.2]
    assert "lenet5-mnist" in printed
    text = run("lenet5-digits", *few)
    assert "most sensitive units" in text.stdout
    assert "sensitive, attacked" in text.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lenet5-digits", "--share", 0), "share: expected"), (("no-such-model",), "unknown classifier"),
        (("lenet5-digits", "--attack", "deepfool", "--strength", 0.1), "fixed strength"),
        (("lenet5-digits", "--set", "epsilon=7"), "epsilon: expected"),
        (("lenet5-digits", "--against", "nobody"), "unknown classifier"),
    ],
)  # fmt: skip
def test_what_the_verb_cannot_do_is_one_sentence(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
