"""The verb evaluate, as a person runs it."""

import json

import pytest
from click.testing import CliRunner

from engine.command_line import main
from engine.robustness.presets import preset
from engine.robustness.table import table_of

WITHOUT_ALL = [part for plan in preset("digits").plans for part in ("--without", plan.attack)]


def run(*arguments, status=0):
    result = CliRunner().invoke(main, ["evaluate", *(str(each) for each in arguments)])
    assert result.exit_code == status, result.output
    return result


def test_one_model_under_one_attack(tmp_path):
    file = tmp_path / "study.json"
    result = json.loads(
        run(
            "lenet5-digits", "--attack", "fgsm", "--set", "epsilon=0.2", "--images", 40, "--curve", "--output", file,
            "--json",
        ).stdout
    )  # fmt: skip
    clean, attacked = result["attacks"]
    assert (clean["attack"], attacked["attack"]) == ("Clean", "FGSM (epsilon 0.2)")
    assert attacked["low"] <= attacked["accuracy"] <= attacked["high"]
    assert attacked["accuracy"] < clean["accuracy"]
    assert "comparison" not in result
    assert len(result["curve"]) == 8
    assert {row["verdict"] for row in result["masking"]} <= {"passed", "not checked", "warning"}
    saved = json.loads(file.read_text())
    assert saved["comparison"] is None
    assert table_of(saved["studies"][0]["table"])["Clean"].n == 40


@pytest.mark.slow
def test_two_models_are_compared(home):
    CliRunner().invoke(main, ["train", "lenet5", "--dataset", "digits", "--epochs", "1", "--seed", "5"])
    arguments = (
        "lenet5-digits",
        "lenet5-digits-seed5",
        "--attack",
        "fgsm",
        "--attack",
        "gaussian_noise",
        "--images",
        30,
    )
    result = json.loads(run(*arguments, "--slow-images", 20, "--json").stdout)
    assert [row["images"] for row in result["attacks"]] == [30, 30, 30] * 2
    assert {row["against"] for row in result["comparison"]} == {"lenet5-digits"}
    assert [row["attack"] for row in result["comparison"]] == ["Clean", "FGSM", "Gaussian noise"]
    text = run(*arguments, "--slow-images", 20).stdout
    assert "no difference shown" in text
    assert "comparison:" in text


@pytest.mark.slow
def test_the_preset_of_the_data_set():
    text = run("lenet5-digits", "--images", 40, "--slow-images", 5).stdout
    for label in ("PGD L∞ 0.3", "C&W L2", "SPSA 0.3", "Gaussian noise 5", "left out: AutoAttack"):
        assert label in text


def test_attacks_of_a_preset_can_be_left_out():
    text = run("lenet5-digits", "--images", 20, "--without", "carlini_wagner", "--without", "spsa").stdout
    assert "PGD L∞ 0.3" in text
    assert "C&W L2: as asked." in text
    assert "SPSA 0.3: as asked." in text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("no-such-model",), "unknown classifier"),
        (("lenet5-digits", "--attack", "fgsm", "--preset", "digits"), "either attacks or a --preset"),
        (("lenet5-digits", "--set", "epsilon=0.1"), "expected an --attack"),
        (("lenet5-digits", "--attack", "fgsm", "--attack", "bim", "--set", "epsilon=0.1"), "expected one --attack"),
        (("lenet5-digits", "--attack", "fgsm", "--set", "epsilon=7"), "epsilon: expected a number"),
        (("lenet5-digits", "--attack", "fgsm", "--without", "spsa"), "--without: expected a preset"),
        (("lenet5-digits", "--without", "deepfool"), "expected an attack of the preset digits, one of carlini_wagner"),
        (("lenet5-digits", *WITHOUT_ALL), "expected an attack to be left"),
        (("lenet5-digits", "--images", "0"), "x>=1"),
        (("lenet5-digits", "--output", "study.txt"), ".json"),
    ],
)
def test_what_cannot_work_is_one_sentence(arguments, reason):
    result = run(*arguments, status=2)
    assert reason in result.output
    assert "Traceback" not in result.output
