"""What is kept of a folder's images, and for how long."""

import os

import pytest
from PIL import Image

from engine.datasets import survey as module
from engine.datasets.survey import survey
from engine.errors import DatasetError
from engine.progress import silent


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two grey images in a folder, and a home of their own."""
    monkeypatch.setenv("DETOUR_HOME", str(tmp_path / "home"))
    folder = tmp_path / "images"
    folder.mkdir()
    for name, value in (("a.png", 10), ("b.png", 20)):
        Image.new("L", (6, 4), value).save(folder / name)
    return sorted(folder.iterdir())


@pytest.fixture
def read(monkeypatch):
    """The names of the image files that are opened."""
    opened = []
    original = module.open_image

    def open_image(data):
        opened.append(data)
        return original(data)

    monkeypatch.setattr(module, "open_image", open_image)
    return opened


def take(files):
    return survey(files[0].parent, files, silent)


def test_files_are_read_once(files, read):
    first = take(files)
    assert first.image_shape == (1, 4, 6)
    assert len(read) == 2
    assert take(files) == first
    assert len(read) == 2


def test_a_changed_file_is_read_again(files, read):
    first = take(files)
    Image.new("L", (6, 4), 30).save(files[1])
    os.utime(files[1], ns=(1, 1))
    second = take(files)
    assert len(read) == 4
    assert second.key != first.key


def test_a_file_less_is_another_folder(files, read):
    first = take(files)
    assert take(files[:1]).key != first.key
    assert len(read) == 3


@pytest.mark.parametrize("garbage", ["", "{", "[]", '{"stamp": "x"}', '{"image_shape": [1], "key": "k", "stamp": "s"}'])
def test_what_was_kept_and_is_damaged_is_read_again(files, read, tmp_path, garbage):
    first = take(files)
    (kept,) = (tmp_path / "home").rglob("*.json")
    kept.write_text(garbage)
    assert take(files) == first
    assert len(read) == 4
    assert take(files) == first  # mended
    assert len(read) == 4


def test_where_nothing_can_be_kept_it_is_read_every_time(files, read, tmp_path):
    (tmp_path / "home").write_text("a file where the folder should be")
    assert take(files) == take(files)
    assert len(read) == 4


def test_a_file_that_vanishes_is_named(files):
    files[1].unlink()
    with pytest.raises(DatasetError, match=r"b\.png"):
        take(files)
