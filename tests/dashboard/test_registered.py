"""Models that come and go while the server runs, and which one is shown first."""

import threading

import pytest

from dashboard.services import EXTENSION
from dashboard.services import classifiers as module
from engine.errors import DatasetError, UnknownNameError
from engine.network.checkpoint import save_checkpoint
from engine.network.classifiers import load_classifier, remove_classifier

SHIPPED = load_classifier("lenet5-digits")


@pytest.fixture
def choices(new_app, tmp_path):
    return new_app(datasets_dir=tmp_path / "none").server.extensions[EXTENSION].choices


def add(folder, name="mine", scale=1.0):
    """A copy of the shipped model, its last weights scaled."""
    model = load_classifier("lenet5-digits").module
    model.fc3.weight.data.mul_(scale)
    save_checkpoint(model, folder / "models" / f"{name}.safetensors", {**SHIPPED.card, "label": f"Model {name}"})


def test_a_model_that_comes_can_be_chosen_at_once_and_one_that_goes_cannot(choices, tmp_path):
    assert "mine" not in choices.labels()
    add(tmp_path)
    assert choices.labels()["mine"] == "Model mine"
    assert choices.datasets()["mine"] == "digits"
    assert choices.get("mine").classifier.key == SHIPPED.key
    remove_classifier("mine", tmp_path / "models")
    assert "mine" not in choices.model_names()
    with pytest.raises(UnknownNameError):
        choices.get("mine")


def test_a_model_whose_weights_are_replaced_is_loaded_again(choices, tmp_path):
    add(tmp_path)
    first = choices.get("mine")
    assert choices.get("mine") is first
    add(tmp_path, scale=2.0)
    second = choices.get("mine")
    assert second.classifier.key != first.classifier.key


def test_the_smallest_model_with_its_data_is_shown_first(choices, tmp_path):
    add(tmp_path, "a-first-in-the-alphabet")
    assert choices.default_model() == "lenet5-digits"


def test_nobody_waits_for_the_data_of_a_model_that_another_asked_for(choices, tmp_path, monkeypatch):
    add(tmp_path, "slow")
    started, go_on = threading.Event(), threading.Event()
    original = module.dataset_of

    def dataset_of(classifier, root):
        if classifier.name == "slow":
            started.set()
            assert go_on.wait(30)
        return original(classifier, root=root)

    monkeypatch.setattr(module, "dataset_of", dataset_of)
    waiting = threading.Thread(target=choices.get, args=("slow",))
    waiting.start()
    try:
        assert started.wait(30)
        assert choices.get("lenet5-digits").classifier.key == SHIPPED.key
        assert choices.labels()["slow"] == "Model slow"
    finally:
        go_on.set()
        waiting.join()


def test_a_failure_is_told_to_all_who_ask_at_once_and_forgotten_soon(choices, tmp_path, monkeypatch):
    add(tmp_path)
    asked, problem = [], DatasetError("there is no such folder")
    original = module.dataset_of

    def dataset_of(classifier, root):
        asked.append(classifier.name)
        if problem is not None:
            raise problem
        return original(classifier, root=root)

    monkeypatch.setattr(module, "dataset_of", dataset_of)
    for _ in range(3):
        with pytest.raises(DatasetError, match="no such folder"):
            choices.get("mine")
    assert asked == ["mine"]
    add(tmp_path, scale=2.0)  # other weights may do better
    with pytest.raises(DatasetError, match="no such folder"):
        choices.get("mine")
    assert asked == ["mine"] * 2
    problem = None
    monkeypatch.setattr(module, "FAILURE_KEPT_S", 0.0)
    assert choices.get("mine").classifier.name == "mine"
