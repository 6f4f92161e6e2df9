"""Every verb, run as a person runs it, on the embedded data set."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from engine import ClassPaths, Path
from engine.command_line import main
from engine.command_line.paths import _how_exact, _rows
from engine.network.operations import LayerShape
from engine.paths.survey import survey


def run(*arguments, status=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    return result


def run_json(*arguments):
    return json.loads(run(*arguments, "--json").stdout)


@pytest.mark.slow
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
    assert result["similarities are"] == "exact"
    similarity = loaded.similarity()
    assert result["density growth"] == loaded.density_growth().tolist()
    for row, expected in zip(result["similarity"], similarity, strict=True):
        assert [value for name, value in row.items() if name != "class"] == expected.tolist()
    text = run("classes", "lenet5-digits", "--images", 200).stdout
    assert "similarities are: exact\nsimilarity:\nclass  0 " in text


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


@pytest.fixture
def cats_and_dogs(tmp_path):
    """A folder that has the name of a known data set, and other classes."""
    folder = tmp_path / "digits"
    random = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (folder / name).mkdir(parents=True)
        for number in range(10):
            Image.fromarray(random.integers(0, 255, (28, 28), dtype=np.uint8)).save(folder / name / f"{number}.png")
    return folder


def test_a_classifier_of_a_folder_is_used_with_that_folder_and_no_other(cats_and_dogs):
    run("train", "lenet5", "--dataset", cats_and_dogs, "--epochs", 1, "--seed", 8)
    assert run_json("paths", "lenet5-digits-seed8")["label"] in ("cats", "dogs")
    assert run_json("attack", "lenet5-digits-seed8", "--attack", "fgsm", "--images", 4)["images"] == 4
    for file in (cats_and_dogs / "dogs").iterdir():
        file.unlink()
    (cats_and_dogs / "dogs").rename(cats_and_dogs / "mice")
    Image.new("L", (28, 28)).save(cats_and_dogs / "mice" / "1.png")
    Image.new("L", (28, 28)).save(cats_and_dogs / "mice" / "2.png")
    assert "cats, dogs" in run("paths", "lenet5-digits-seed8", status=2).output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("classes", "lenet5-digits", "--output", "/nowhere/x.npz"), "no folder /nowhere"),
        (("train", "lenet5", "--dataset", "digits", "--output", "model.pt"), ".safetensors"),
        (("attack", "lenet5-digits", "--output", "adversarial.dat"), ".npy"),
        (("train", "lenet5", "--dataset", "digits", "--device", "nonsense"), "nonsense"),
        (("train", "lenet5", "--dataset", "digits", "--seed", "9" * 23), "range"),
        (("attack", "lenet5-digits", "--set", "epsilon=0.1", "--set", "epsilon=0.2"), "twice"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(arguments, reason):
    result = run(*arguments, status=2)
    assert reason in result.output
    assert "Traceback" not in result.output


def test_a_matrix_that_does_not_fit_the_text_is_in_the_json(monkeypatch):
    monkeypatch.setattr("engine.command_line.printing._MOST_COLUMNS", 9)
    text = run("classes", "lenet5-digits", "--images", 200).stdout
    assert "similarity: 10 rows of 11 values do not fit a text; --json prints them" in text


def test_estimated_similarities_say_so_and_classes_of_one_name_are_told_apart():
    ids = {"fc": np.arange(50)}
    shape = LayerShape(10, 1, 1, 100, 1, 1, 1, n_synapses=1000)
    path = Path(("fc",), ids, ids, ids, {"fc": shape}, 0.5)
    found = survey(ClassPaths(("crane", "ape", "crane"), (path,) * 3, np.ones(3, int), 0.5), exact_pairs=0, drawn=500)
    assert _how_exact(found).startswith(
        "estimated from 500 synapse ids drawn at random, with a standard error of at most 0.0"
    )
    assert [list(row) for row in _rows(found)] == [["class", "crane (0)", "ape", "crane (2)"]] * 3


def test_classes_without_images_are_named():
    result = run_json("classes", "lenet5-digits", "--images", 1)
    assert len(result["classes without images"]) == 9
    assert result["mean similarity"] is None


def test_detectors_are_fitted_saved_judged_and_swept(tmp_path):
    few = ("--images", 60, "--train-share", 0.4)
    fitted = run_json(
        "detect", "fit", "lenet5-digits", "--attack", "deepfool", "--detector", "joint_similarity", *few,
        "--save", tmp_path / "detector", "--output", tmp_path / "report.json", "--sweep", "last-layers",
        "--adaptive-epsilon", 0.3,
    )  # fmt: skip
    assert [row["value"] for row in fitted["sweeps"]] == [1, 2, 3, 4, 5]
    assert fitted["adaptive"][0]["epsilon"] == 0.3
    assert 0 <= fitted["adaptive"][0]["missed"] <= fitted["adaptive"][0]["misled"] <= 36
    assert fitted["detectors"][0]["auc"] > 0.8
    assert fitted["attacks"][0]["success rate"] > 0.9
    assert json.loads((tmp_path / "report.json").read_text())["table"]
    judged = run_json("detect", "evaluate", tmp_path / "detector", "lenet5-digits", "--attack", "fgsm", "--images", 60)
    assert judged["images"] == 36
    assert 0 <= judged["attacks"][0]["auc"] <= 1
    assert judged["fitted on"] == ["DeepFool"]
    assert judged["adaptive"]["missed"] == fitted["adaptive"][0]["missed"]
    other = run("detect", "evaluate", tmp_path / "detector", "lenet5-mnist", "--attack", "fgsm", status=2)
    assert "Traceback" not in other.output
    for kind in ("last-layers", "attacks-seen"):
        swept = run_json("detect", "sweep", "lenet5-digits", kind, "--attack", "deepfool", "--attack", "fgsm", *few)
        assert {point["attack"] for point in swept["points"]} == {"DeepFool", "FGSM"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [((), "either --authors"), (("--attack", "fgsm", "--save", "x"), "--save keeps one detector")],
)
def test_a_fit_that_makes_no_sense_is_refused(options, reason):
    assert reason in run("detect", "fit", "lenet5-digits", *options, status=2).output


def test_attribution_tells_where_both_copies_have_their_evidence(tmp_path):
    file = tmp_path / "maps.npz"
    result = run_json("attribute", "lenet5-digits", "--index", 3, "--images", 50, "--output", file)
    assert [row["copy"] for row in result["copies"]] == ["clean", "attacked"]
    assert result["layer"] == "conv2:act"
    assert all(row["peak"] >= row["threshold"] for row in result["units"])
    with np.load(file) as saved:
        assert saved["maps"].shape == (2, 28, 28)
        assert saved["maps"].max() == pytest.approx(max(row["largest"] for row in result["copies"]))
    assert "expected one of" in run("attribute", "lenet5-digits", "--layer", "nowhere", status=2).stderr


def test_an_architecture_of_imagenet_becomes_a_model(home, tmp_path):
    name = "timm/mobilenetv3_small_050"
    added = run_json("add", name, "--weights", "none", "--seed", 4)
    assert added["weights"] == "random (He et al. 2015, seed 4)"
    assert "there is such a model" in run("add", name, "--weights", "none", status=2).stderr
    row = next(row for row in run_json("models") if row["name"] == "timm-mobilenetv3_small_050-imagenet-random")
    assert row["for"] == "imagenet"
    assert row["image"] == [3, 224, 224]
    again = run_json("add", name, "--weights", added["file"], "--output", tmp_path / "mine.safetensors")
    assert again["sha256"] == added["sha256"]
    assert added["sha256"] in again["weights"]


def test_only_what_a_path_can_be_extracted_from_is_added(home):
    assert "python -m engine train" in run("add", "lenet5", status=2).stderr
    assert "cannot be followed" in run("add", "timm/convnext_atto", "--weights", "none", status=2).stderr
    assert "no architecture" in run("add", "timm/nothing", status=2).stderr
    assert "nosuch" in run("add", "timm/resnet50.nosuch", status=2).stderr
