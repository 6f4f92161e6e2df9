"""Data sets in folders."""

import numpy as np
import pytest
import torch
from PIL import Image

from engine.datasets.folder import folder_dataset
from engine.errors import DatasetError


def write(path, value=0, size=(8, 8), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value,) * 3).save(path)


@pytest.fixture
def folder(tmp_path):
    for klass, value in (("cat", 50), ("dog", 100)):
        for number in range(10):
            write(tmp_path / klass / f"{number}.png", value + number)
    return tmp_path


def test_fixed_split_by_name(folder):
    data = folder_dataset(folder, name="pets")
    assert (data.name, data.classes, data.image_shape) == ("pets", ("cat", "dog"), (3, 8, 8))
    assert (len(data.train), len(data.test)) == (16, 4)
    again = folder_dataset(folder)
    assert torch.equal(data.test.images(range(4)), again.test.images(range(4)))
    values = (data.test.images(range(4))[:, 0, 0, 0] * 255).round().int().tolist()
    train = (data.train.images(range(16))[:, 0, 0, 0] * 255).round().int().tolist()
    assert sorted(values + train) == [*range(50, 60), *range(100, 110)]
    assert [value >= 100 for value in values] == data.test.labels.astype(bool).tolist()


def test_split_does_not_depend_on_pixels(folder):
    before = folder_dataset(folder)
    values = before.test.images(range(4))
    write(folder / "cat" / "0.png", 255)
    after = folder_dataset(folder)
    assert after.key != before.key
    changed = (values != after.test.images(range(4))).any(dim=(1, 2, 3)).sum()
    assert changed <= 1


def test_split_folders(tmp_path):
    for split, count in (("train", 3), ("val", 2)):
        for klass in "ab":
            for number in range(count):
                write(tmp_path / split / klass / f"{number}.png", mode="L")
    data = folder_dataset(tmp_path)
    assert (len(data.train), len(data.test)) == (6, 4)
    assert data.image_shape == (1, 8, 8)


def test_mixed_sizes_are_resized(folder):
    write(folder / "cat" / "wide.png", 200, size=(20, 8))
    assert folder_dataset(folder).image_shape == (3, 224, 224)
    data = folder_dataset(folder, image_shape=(1, 4, 4))
    assert data.train.images([0, 1]).shape == (2, 1, 4, 4)


def test_images_are_the_same_when_asked_again(folder):
    train = folder_dataset(folder).train
    first = train.images(np.array([3, 1, 3]))
    assert torch.equal(first, train.images([3, 1, 3]))
    assert train.images([]).shape == (0, 3, 8, 8)


def test_hidden_and_other_files_are_left_out(folder):
    (folder / "cat" / ".DS_Store").write_bytes(b"x")
    (folder / "cat" / "notes.txt").write_text("x")
    (folder / ".git").mkdir()
    assert len(folder_dataset(folder).train) == 16


def test_absent(tmp_path):
    with pytest.raises(DatasetError, match="expected a folder"):
        folder_dataset(tmp_path / "absent")


def test_one_class(tmp_path):
    write(tmp_path / "cat" / "0.png")
    with pytest.raises(DatasetError, match="at least two; found only 'cat'"):
        folder_dataset(tmp_path)


def test_no_classes(tmp_path):
    with pytest.raises(DatasetError, match="found none"):
        folder_dataset(tmp_path)


def test_class_without_images(folder):
    (folder / "eel").mkdir()
    with pytest.raises(DatasetError, match=r"eel: expected images .* there are none"):
        folder_dataset(folder)


def test_single_image_of_a_class(folder):
    write(folder / "eel" / "0.png")
    with pytest.raises(DatasetError, match=r"eel/0\.png: the only image"):
        folder_dataset(folder)


def test_splits_with_different_classes(tmp_path):
    for name in ("train/a", "train/b", "test/a", "test/c"):
        write(tmp_path / name / "0.png")
    with pytest.raises(DatasetError, match="'b' is in only one"):
        folder_dataset(tmp_path)


@pytest.mark.parametrize("content", [b"", b"garbage", b"II*\0rest of a TIFF"])
def test_unreadable_file_is_named(folder, content):
    (folder / "dog" / "bad.png").write_bytes(content)
    with pytest.raises(DatasetError, match=r"dog/bad\.png: cannot be read"):
        folder_dataset(folder)


def test_unsupported_image_is_named(folder):
    (folder / "dog" / "old.gif").write_bytes(b"GIF89a")
    with pytest.raises(DatasetError, match=r"old\.gif: expected PNG, JPEG or WebP"):
        folder_dataset(folder)


def test_truncated_file_is_named_when_it_is_read(folder):
    noisy = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    path = folder / "dog" / "cut.png"
    Image.fromarray(noisy).save(path)
    path.write_bytes(path.read_bytes()[:120])
    data = folder_dataset(folder)
    with pytest.raises(DatasetError, match=r"dog/cut\.png: cannot be read"):
        [split.images(range(len(split))) for split in (data.train, data.test)]


def test_the_images_of_a_split_take_turns_by_class(tmp_path):
    for name, count in (("a", 3), ("b", 1), ("c", 2)):
        for split in ("train", "test"):
            for place in range(count):
                file = tmp_path / split / name / f"{place}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (4, 4), 10 * place).save(file)
    data = folder_dataset(tmp_path)
    assert data.test.labels.tolist() == [0, 1, 2, 0, 2, 0]
    assert (data.test.pixels(np.arange(6))[:, 0, 0, 0]).tolist() == [0, 0, 0, 10, 10, 20]
