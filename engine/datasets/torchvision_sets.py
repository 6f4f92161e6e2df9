"""MNIST, CIFAR-10 and SVHN in the files torchvision reads, downloaded only when asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.datasets.dataset import ArrayImages, Dataset, content_key
from engine.datasets.folder import folder_dataset
from engine.errors import DatasetError
from engine.progress import Progress

Arrays = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]
DIGITS = tuple(str(digit) for digit in range(10))
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def mnist_dataset(root: Path, download: bool, progress: Progress) -> Dataset:
    """MNIST from ``root/MNIST/raw``: 60,000 training and 10,000 test images (1, 28, 28)."""

    def read(is_train: bool) -> Arrays:
        data = _torchvision().MNIST(root, train=is_train, download=download)
        return data.data.numpy()[:, np.newaxis], data.targets.numpy().astype(np.int64)

    return _build("mnist", "MNIST", DIGITS, read, root, "root/MNIST/raw/*-ubyte", download, progress)


def cifar10_dataset(root: Path, download: bool, progress: Progress) -> Dataset:
    """CIFAR-10: 50,000 training and 10,000 test images (3, 32, 32).

    Read from ``root/cifar10/{train,test}/CLASS/*.png`` where that folder exists, else from torchvision's
    ``root/cifar-10-batches-py``. The key tells the two apart: the order of the images differs.
    """
    folder = root / "cifar10"
    if folder.is_dir():
        data = folder_dataset(folder, name="cifar10", label="CIFAR-10", image_shape=(3, 32, 32), progress=progress)
        if data.classes != CIFAR10_CLASSES:
            raise DatasetError(
                f"{folder}: expected the ten class folders {', '.join(CIFAR10_CLASSES)}; got {', '.join(data.classes)}."
            )
        return replace(data, folder="")

    def read(is_train: bool) -> Arrays:
        data = _torchvision().CIFAR10(root, train=is_train, download=download)
        return np.ascontiguousarray(data.data.transpose(0, 3, 1, 2)), np.asarray(data.targets, dtype=np.int64)

    where = "root/cifar10/{train,test}/CLASS/*.png or root/cifar-10-batches-py"
    return _build("cifar10", "CIFAR-10", CIFAR10_CLASSES, read, root, where, download, progress)


def svhn_dataset(root: Path, download: bool, progress: Progress) -> Dataset:
    """SVHN (cropped) from ``root/{train,test}_32x32.mat``: 73,257 training and 26,032 test images (3, 32, 32)."""

    def read(is_train: bool) -> Arrays:
        data = _torchvision().SVHN(root, split="train" if is_train else "test", download=download)
        return data.data, np.asarray(data.labels, dtype=np.int64)

    return _build("svhn", "SVHN", DIGITS, read, root, "root/{train,test}_32x32.mat", download, progress)


def _torchvision() -> ModuleType:
    """torchvision's data sets; the import takes more than a second, and the embedded digits need none of it."""
    return import_module("torchvision.datasets")


def _build(
    name: str,
    label: str,
    classes: tuple[str, ...],
    read: Callable[[bool], Arrays],
    root: Path,
    where: str,
    download: bool,
    progress: Progress,
) -> Dataset:
    progress(0.0, f"Reading {label}" + (", downloading what is missing" if download else ""))
    splits = []
    for is_train in (True, False):
        splits.append(_read_split(label, name, read, is_train, root, where))
        progress(0.45 if is_train else 0.9, f"Read the {'training' if is_train else 'test'} images of {label}")
    (train_pixels, train_labels), (test_pixels, test_labels) = splits
    key = content_key(name, train_pixels, train_labels, test_pixels, test_labels)
    progress(1.0, f"{label} is ready")
    shape = train_pixels.shape
    return Dataset(
        name=name,
        label=label,
        classes=classes,
        image_shape=(shape[1], shape[2], shape[3]),
        train=ArrayImages(train_pixels, train_labels),
        test=ArrayImages(test_pixels, test_labels),
        key=key,
    )


def _read_split(label: str, name: str, read: Callable[[bool], Arrays], is_train: bool, root: Path, where: str) -> Any:
    split = "training" if is_train else "test"
    try:
        return read(is_train)
    except Exception as error:  # torchvision raises a different kind for every way a file can be absent or damaged
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DatasetError(
            f"the {split} images of {label} could not be read from {root} ({reason}). Expected {where}. "
            f"Fetch them with: python -m engine fetch {name}, or set DETOUR_DATA to the folder that holds them."
        ) from error
