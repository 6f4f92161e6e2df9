"""The user's own models: removed, and never the shipped ones."""

import pytest

from engine.errors import InvalidInputError, UnknownNameError
from engine.network.catalogue import build_model
from engine.network.checkpoint import save_checkpoint
from engine.network.classifiers import SHIPPED, available_classifiers, remove_classifier

CARD = {
    "label": "Mine",
    "architecture": "lenet5",
    "dataset": "digits",
    "classes": ["a", "b"],
    "image_shape": [1, 28, 28],
}


def save(folder, name):
    save_checkpoint(build_model("lenet5", 2), folder / f"{name}.safetensors", CARD)


def test_a_model_of_ones_own_is_removed_with_its_card(tmp_path):
    save(tmp_path, "mine")
    save(tmp_path, "other")
    remove_classifier("mine", tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["other.json", "other.safetensors"]
    assert "mine" not in available_classifiers(tmp_path)
    with pytest.raises(UnknownNameError, match="mine"):
        remove_classifier("mine", tmp_path)


@pytest.mark.parametrize("same_name", [False, True])
def test_a_shipped_model_stays(tmp_path, same_name):
    if same_name:
        save(tmp_path, "lenet5-digits")
    before = len(list(tmp_path.iterdir()))
    with pytest.raises(InvalidInputError, match="of your own"):
        remove_classifier("lenet5-digits", tmp_path)
    assert (SHIPPED / "lenet5-digits.safetensors").is_file()
    assert len(list(tmp_path.iterdir())) == before


def test_a_path_is_no_name(tmp_path):
    (tmp_path / "models").mkdir()
    save(tmp_path, "mine")
    with pytest.raises(UnknownNameError):
        remove_classifier("../mine", tmp_path / "models")
    assert (tmp_path / "mine.safetensors").is_file()
