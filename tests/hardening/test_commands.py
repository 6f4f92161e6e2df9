"""The verbs harden and train, as a person runs them."""

import json

import pytest
from click.testing import CliRunner

from engine.command_line import main
from engine.network.classifiers import load_classifier


def run(*arguments, status=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    return result


def test_a_hardened_model_is_among_the_user_s_and_its_run_can_be_resumed(home, tmp_path):
    arguments = (
        "harden", "lenet5-digits", "--method", "pat", "--set", "steps=2", "--epochs", 1, "--images", 96, "--start",
        "parent", "--seed", 5, "--folder", tmp_path / "run", "--json",
    )  # fmt: skip
    result = json.loads(run(*arguments).stdout)
    assert result["settings"]["steps"] == 2
    assert result["settings"]["epsilon"] == 0.1
    assert result["last epoch"]["terms"].keys() == {"clean", "adversarial"}
    assert 0 < result["test accuracy"] <= 1
    hardened = load_classifier("lenet5-digits-pat-steps-2-seed5")
    assert (hardened.card["parent"], hardened.card["sha256"]) == ("lenet5-digits", result["sha256"])
    assert "add --resume" in run(*arguments, status=2).stderr
    assert json.loads(run(*arguments, "--resume").stdout)["sha256"] == result["sha256"]
    again = tmp_path / "again.safetensors"
    text = run(
        "harden", "lenet5-digits-pat-steps-2-seed5", "--method", "sns", "--set", "units=rand", "--set", "steps=1",
        "--epochs", 1, "--images", 64, "--output", again,
    ).stdout  # fmt: skip
    assert "frozen layers: conv1" in text
    assert again.is_file()


def test_training_keeps_and_resumes_its_epochs(tmp_path):
    arguments = ("train", "lenet5", "--dataset", "digits", "--epochs", 1, "--seed", 11, "--folder", tmp_path, "--json")
    first = json.loads(run(*arguments).stdout)
    assert (tmp_path / "epoch-001.safetensors").is_file()
    assert "add --resume" in run(*arguments, status=2).stderr
    assert json.loads(run(*arguments, "--resume").stdout)["sha256"] == first["sha256"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--method", "nothing"), "is not one of"),
        (("--method", "pat", "--set", "strength=1"), "has no setting 'strength'"),
        (("--method", "pat", "--set", "steps=0"), "steps: expected a whole number from 1"),
        (("--method", "pat", "--resume"), "holds none"),
        (("--method", "sns", "--start", "scratch"), "start from the parent"),
        (("--method", "pat", "--images", "99999"), "images: expected at most 1,442"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(arguments, message):
    result = run("harden", "lenet5-digits", *arguments, status=2)
    assert message in result.output
    assert "Traceback" not in result.output
