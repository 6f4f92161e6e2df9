"""ImageNet in the layouts that people keep it in, whole or in part."""

import numpy as np
import pytest
from PIL import Image

from engine.datasets.catalogue import load_dataset
from engine.datasets.imagenet import imagenet_classes, synsets
from engine.errors import DatasetError

TENCH, GOLDFISH, CRANE = "n01440764", "n01443537", "n02012849"


def write(file, shade=100):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((40, 60, 3), shade, np.uint8)).save(file)


def test_the_thousand_classes_have_names_of_their_own():
    assert len(set(imagenet_classes())) == len(synsets()) == 1000
    for wordnet, index, name in ((TENCH, 0, "tench"), (GOLDFISH, 1, "goldfish"), (CRANE, 134, "crane bird")):
        assert synsets()[wordnet] == index
        assert imagenet_classes()[index] == name


def test_train_and_val_folders_are_the_splits(tmp_path):
    for split, count in (("train", 3), ("val", 2)):
        for wordnet in (CRANE, TENCH):
            for i in range(count):
                write(tmp_path / "imagenet" / split / wordnet / f"{i}.JPEG", 10 * i)
    write(tmp_path / "imagenet" / "test" / "ILSVRC2012_test_00000001.JPEG")  # has no label, and is not looked at
    data = load_dataset("imagenet", root=tmp_path)
    assert data.train.labels.tolist() == [0, 134] * 3
    assert data.test.labels.tolist() == [0, 134] * 2
    assert data.test.images([0, 3]).shape == (2, 3, 224, 224)


@pytest.mark.parametrize("layout", ["folders", "val alone", "files"])
def test_other_layouts_are_divided_by_names(tmp_path, layout):
    root = tmp_path / ("imagenet-sample" if layout == "files" else "imagenet")
    for i in range(10):
        wordnet = (TENCH, GOLDFISH)[i % 2]
        place = {"folders": f"{wordnet}/{i}.png", "val alone": f"val/{wordnet}/{i}.png", "files": f"{wordnet}_{i}.png"}
        write(root / place[layout], 20 * i)
    data = load_dataset("imagenet", root=tmp_path, image_shape=(3, 32, 32))
    assert (len(data.train), len(data.test)) == (8, 2)
    assert set(data.train.labels.tolist()) == {0, 1}
    assert data.image_shape == (3, 32, 32)
    assert load_dataset("imagenet", root=tmp_path, image_shape=(3, 32, 32)).key == data.key
    assert load_dataset("imagenet", root=tmp_path).key != data.key


def test_what_is_not_imagenet_is_named(tmp_path):
    with pytest.raises(DatasetError, match="WordNet ids"):
        load_dataset("imagenet", root=tmp_path)
    with pytest.raises(DatasetError, match="account"):
        load_dataset("imagenet", root=tmp_path, download=True)
    write(tmp_path / "imagenet" / "cats" / "felix.png")
    with pytest.raises(DatasetError, match=r"felix\.png"):
        load_dataset("imagenet", root=tmp_path)
    (tmp_path / "imagenet" / "cats" / "felix.png").unlink()
    with pytest.raises(DatasetError, match="there are none"):
        load_dataset("imagenet", root=tmp_path)
    write(tmp_path / "imagenet" / TENCH / "1.png")
    with pytest.raises(DatasetError, match="two images"):
        load_dataset("imagenet", root=tmp_path)
