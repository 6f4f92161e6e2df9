"""The data sets of the catalogue."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from engine.datasets.catalogue import datasets, load_dataset
from engine.datasets.dataset import ArrayImages, content_key
from engine.datasets.locations import data_directory, dataset_directory
from engine.errors import DatasetError, InvalidInputError, UnknownNameError

DATA = Path(os.environ.get("DETOUR_DATA", "/nonexistent"))
needs_mnist = pytest.mark.skipif(not (DATA / "MNIST").is_dir(), reason="needs MNIST: set DETOUR_DATA to its folder")
needs_cifar = pytest.mark.skipif(
    not (DATA / "cifar10").is_dir(), reason="needs CIFAR-10 images: set DETOUR_DATA to their folder"
)


def test_catalogue():
    assert datasets.names() == ["digits", "mnist", "cifar10", "svhn", "imagenet"]


def test_digits():
    digits = datasets["digits"].create()
    assert digits.image_shape == (1, 28, 28)
    assert (len(digits.train), len(digits.test)) == (1442, 355)
    images = digits.train.images([0, 5, 3])
    assert images.shape == (3, 1, 28, 28)
    assert images.dtype == torch.float32
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1


def test_digits_split_takes_every_fifth_of_a_class():
    digits = load_dataset("digits")
    target = load_digits().target
    for digit in range(10):
        assert (digits.test.labels == digit).sum() == (target == digit).sum() // 5
    first_of_test = np.flatnonzero(target == 0)[4]
    low = np.asarray(load_digits().images[first_of_test])
    high = digits.test.images([int(np.flatnonzero(digits.test.labels == 0)[0])])
    shrunk = torch.nn.functional.adaptive_avg_pool2d(high, 8)[0, 0].numpy()
    assert np.corrcoef(shrunk.ravel(), low.ravel())[0, 1] > 0.95


def test_key_is_of_the_content():
    assert load_dataset("digits").key == load_dataset("digits").key
    array = np.arange(6, dtype=np.uint8)
    assert content_key("a", array) != content_key("a", array.reshape(2, 3))
    assert content_key("ab", "c") != content_key("a", "bc")


@pytest.mark.parametrize("index", [-1, 355])
def test_index_out_of_range(index):
    with pytest.raises(InvalidInputError, match=f"0 to 354; got {index}"):
        load_dataset("digits").test.images([index])


def test_no_indices():
    assert load_dataset("digits").test.images([]).shape == (0, 1, 28, 28)


def test_labels_are_read_only_and_images_are_copies():
    split = ArrayImages(np.zeros((2, 1, 1, 1), dtype=np.uint8), np.array([0, 1]))
    with pytest.raises(ValueError, match="read-only"):
        split.labels[0] = 1
    split.images([0]).fill_(1)
    assert float(split.images([0])) == 0


def test_labels_must_match():
    with pytest.raises(DatasetError, match="N labels"):
        ArrayImages(np.zeros((2, 1, 1, 1), dtype=np.uint8), np.array([0]))


def test_unknown_name():
    with pytest.raises(UnknownNameError, match="Did you mean 'mnist'"):
        load_dataset("minst")


@pytest.mark.parametrize("name", ["mnist", "cifar10", "svhn"])
def test_missing_files_tell_the_command(name, tmp_path):
    with pytest.raises(DatasetError, match=f"python -m engine fetch {name}"):
        load_dataset(name, root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_damaged_files(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{part}-ubyte").write_bytes(b"\0\0\x08\x03garbage")
    with pytest.raises(DatasetError, match="training images of MNIST could not be read"):
        load_dataset("mnist", root=tmp_path)


def test_locations(monkeypatch, tmp_path):
    monkeypatch.setenv("DETOUR_HOME", str(tmp_path))
    monkeypatch.delenv("DETOUR_DATA", raising=False)
    assert data_directory() == tmp_path
    assert dataset_directory() == tmp_path / "datasets"
    monkeypatch.setenv("DETOUR_DATA", str(tmp_path / "x"))
    assert dataset_directory() == tmp_path / "x"


@needs_mnist
def test_mnist():
    reports = []
    mnist = load_dataset("mnist", progress=lambda fraction, _: reports.append(fraction))
    assert (len(mnist.train), len(mnist.test)) == (60_000, 10_000)
    assert mnist.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.train.images([0]).shape == (1, 1, 28, 28)
    assert float(mnist.train.images(range(1000)).mean()) == pytest.approx(0.13, abs=0.01)
    assert reports[0] == 0
    assert reports[-1] == 1
    assert reports == sorted(reports)


@pytest.mark.slow
@needs_cifar
def test_cifar10_from_folders():
    cifar = load_dataset("cifar10")
    assert (len(cifar.train), len(cifar.test)) == (50_000, 10_000)
    assert cifar.image_shape == (3, 32, 32)
    assert cifar.test.images([0, 9999]).shape == (2, 3, 32, 32)
    assert cifar.test.labels[[0, 9999]].tolist() == [0, 9]
