"""Every verb, run as a person runs it, on the embedded data set."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from engine import ClassPaths, Path
from engine.command_line import main


def run(*arguments, status=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    return result


def run_json(*arguments):
    return json.loads(run(*arguments, "--json").stdout)


def test_models_and_datasets_are_listed():
    assert {"lenet5-digits", "lenet5-mnist", "resnet50"} <= {row["name"] for row in run_json("models")}
    digits = next(row for row in run_json("datasets") if row["name"] == "digits")
    assert digits["state"] == "ready"
    assert "lenet5-digits" in run("models").stdout


def test_training_writes_a_classifier_that_the_other_verbs_know(home):
    result = run_json("train", "lenet5", "--dataset", "digits", "--epochs", 1, "--seed", 3)
    assert 0.1 < result["test accuracy"] <= 1
    assert "lenet5-digits-seed3" in {row["name"] for row in run_json("models")}
    again = run_json("train", "lenet5", "--dataset", "digits", "--epochs", 1, "--seed", 3)
    assert again["sha256"] == result["sha256"]
    assert run_json("paths", "lenet5-digits-seed3", "--index", 4)["density"] > 0


def test_attacks_report_and_save(tmp_path):
    file = tmp_path / "adversarial.npy"
    result = run_json(
        "attack", "lenet5-digits", "--attack", "fgsm", "--images", 20, "--set", "epsilon=0.3", "--output", file
    )
    assert result["settings"]["epsilon"] == 0.3
    assert 0 < result["successes"] <= result["scored"] <= 20
    saved = np.load(file)
    assert saved.shape == (20, 1, 28, 28)
    assert 0 <= saved.min() <= saved.max() <= 1


def test_paths_are_shown_and_saved(tmp_path):
    file = tmp_path / "path.npz"
    result = run_json("paths", "lenet5-digits", "--index", 7, "--theta", 0.7, "--output", file)
    path = Path.load(file)
    assert path.theta == 0.7
    assert [row["synapses"] for row in result["layers"]] == [len(ids) for ids in path.synapses.values()]


def test_class_paths_are_shown_and_saved(tmp_path):
    file = tmp_path / "classes.npz"
    result = run_json("classes", "lenet5-digits", "--images", 200, "--output", file)
    loaded = ClassPaths.load(file)
    assert result["images"] == loaded.counts.sum() <= 200
    assert result["overall density"] == loaded.overall().density()
    assert len(result["similarity"]) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["paths", "no-such-model"], "unknown classifier 'no-such-model'"),
        (["paths", "lenet5-digits", "--index", "99999"], "--index: expected at most"),
        (["paths", "lenet5-digits", "--theta", "1.5"], "theta: expected a number above 0, up to 1"),
        (["paths", "lenet5-digits", "--rank", "11"], "rank: expected a place from 1 to 10"),
        (["attack", "lenet5-digits", "--set", "epsilon=7"], "epsilon: expected a number from 0 to 1"),
        (["attack", "lenet5-digits", "--set", "strength=1"], "has no setting 'strength'"),
        (["train", "lenet5", "--dataset", "/no/such/folder"], "unknown data set"),
    ],
)
def test_errors_are_one_sentence(arguments, message):
    result = run(*arguments, status=2)
    assert message in result.stderr
    assert "Traceback" not in result.output
