"""The whole study on the digits, its report and its verb."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from engine.command_line import main
from engine.errors import Cancelled, InvalidInputError
from engine.route.hardness import Survival
from engine.route.report import report_of, write_report
from engine.route.study import RouteSettings, run_route

SETTINGS = RouteSettings("fgsm", {"epsilon": 0.2}, n_images=50, route_images=60, betas=(1.0, 0.0), draws=2, groups=3)


@pytest.fixture(scope="module")
def study(classifier, digits):
    return run_route(classifier, digits, SETTINGS)


@pytest.fixture(scope="module")
def report(study, classifier, tmp_path_factory):
    file = tmp_path_factory.mktemp("route") / "route.json"
    write_report(file, study, classifier)
    return json.loads(file.read_text(), parse_constant=pytest.fail)


def test_the_report_holds_everything_in_plain_values(report, study, classifier):
    assert (report["model"], report["label"]) == (classifier.name, classifier.label)
    assert report["classes"] == list(classifier.classes)
    assert report["attack"] == "fgsm"
    assert report["attack_settings"]["epsilon"] == 0.2
    assert (report["route_images"], report["pairs"]) == (60, 50)
    assert report["misled"] == pytest.approx(study.pairs.misled.mean())
    assert len(report["indices"]) == 50
    names = [layer["name"] for layer in report["layers"]]
    assert names == ["conv1:act", "conv2:act"]
    for layer in report["layers"]:
        for key in ("occurrence", "gradient", "sensitivity"):
            assert len(layer[key]) == layer["units"]
        assert layer["shape"][0] == layer["units"]
        assert layer["chosen"] == sorted(layer["chosen"])
    assert [one["layer"] for one in report["contrast"]] == names
    assert set(report["contrast"][0]["sensitivity"]) == {"on", "off", "ratio", "p"}


def test_the_report_holds_the_experiments_beside_their_controls(report, study):
    assert [one["layer"] for one in report["transplant"]["single"]] == ["conv1:act", "conv2:act"]
    assert report["transplant"]["cumulative"][1]["layers"] == ["conv1:act", "conv2:act"]
    assert len(report["transplant"]["single"][0]["control"]) == 2
    assert report["transplant"]["misled"] == study.pairs.misled.sum()
    assert 0 <= report["deactivation"][1]["adversarial"]["route"] <= 1
    (weakening,) = report["weakening"]
    assert weakening["betas"] == [1, 0]
    assert weakening["clean"]["route"][0] == 1
    assert np.shape(weakening["adversarial"]["control"]) == (2, 2)
    assert len(report["hardness"]["votes"]) == len(report["hardness"]["order"]) == 50
    assert sum(report["hardness"]["fgsm"]["counts"]) == 50
    assert len(report["hardness"]["fgsm"]["groups"]) == 3
    assert report["hardness"]["fgsm"]["epsilon"] == pytest.approx(0.1)
    assert {"route", "transplant", "weakening"} <= set(report["seconds"])


def test_what_is_not_a_number_becomes_null(study, classifier):
    empty = replace(study, survival=Survival(np.array([np.nan, 1.0]), np.array([0, 50])))
    assert report_of(empty, classifier)["hardness"]["fgsm"]["groups"] == [None, 1]


def test_the_route_is_made_from_training_images_and_judged_on_test_images(study, digits):
    assert study.route.n_images == 60
    torch.testing.assert_close(study.pairs.clean, digits.test.images(study.pairs.indices))
    np.testing.assert_array_equal(study.pairs.labels, digits.test.labels[study.pairs.indices])


def test_a_study_without_noise_in_it_is_the_same_again(study, classifier, digits, report, tmp_path):
    again = report_of(run_route(classifier, digits, SETTINGS, folder=tmp_path), classifier)
    del again["seconds"]
    assert json.loads(json.dumps(again)) == {key: value for key, value in report.items() if key != "seconds"}


def test_a_study_reports_how_far_it_is_and_can_be_stopped(classifier, digits):
    fractions = []

    def count(fraction, message):
        fractions.append(fraction)
        if fraction > 0.6:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        run_route(classifier, digits, SETTINGS, progress=count)
    assert fractions == sorted(fractions)


@pytest.mark.parametrize(
    "wrong",
    [{"share": 0}, {"kept": 1.5}, {"n_images": 0}, {"route_images": 0}, {"draws": 0}, {"groups": 0}, {"betas": ()},
     {"betas": (2.0,)}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidInputError, match=next(iter(wrong)).replace("n_", "").replace("_", " ")):
        RouteSettings(**wrong)


def test_colour_images_are_judged_by_a_weaker_fgsm():
    assert RouteSettings().make_fgsm(3).settings["epsilon"] == pytest.approx(2 / 255)
    assert RouteSettings(fgsm_epsilon=0.03).make_fgsm(1).settings["epsilon"] == 0.03


def test_the_verb_prints_and_saves(tmp_path):
    file = tmp_path / "route.json"
    given = (
        "route",
        "lenet5-digits",
        "--attack",
        "fgsm",
        "--set",
        "epsilon=0.2",
        "--images",
        "20",
        "--route-images",
        "30",
    )
    result = CliRunner().invoke(main, [*given, "--output", str(file), "--json"])
    assert result.exit_code == 0, result.output
    printed, saved = json.loads(result.stdout), json.loads(file.read_text())
    assert printed["images"] == saved["pairs"] == 20
    assert printed["layers"][0]["on route"] == len(saved["layers"][0]["chosen"]) == 2
    assert "conv1:act, conv2:act" in CliRunner().invoke(main, list(given)).stdout
    refused = CliRunner().invoke(main, [*given, "--share", "2"])
    assert refused.exit_code == 2
    assert "above 0, up to 1" in refused.stderr
