"""ImageNet's validation images or any part of them, in the folders that people keep them in."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np

from engine.datasets.dataset import Dataset
from engine.datasets.folder import SUFFIXES, TEST_SHARE, FileImages
from engine.datasets.survey import survey
from engine.errors import DatasetError
from engine.progress import Progress, silent

#: Names of the folder below the root of the data sets, in the order of preference.
FOLDERS = ("imagenet", "imagenet-sample")
IMAGE_SHAPE = (3, 224, 224)
# The images of ImageNet's own folder "test" have no labels.
TEST_FOLDERS = ("val", "validation")

Labelled = list[tuple[Path, int]]


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The 1,000 class names, all different, in the order of the logits of published models."""
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    return tuple(_IMAGENET_CATEGORIES)


@cache
def synsets() -> dict[str, int]:
    """The index of each class by its WordNet id (``n01440764``), by which folders and files are named."""
    from timm.data.imagenet_info import ImageNetInfo

    return {name: index for index, name in enumerate(ImageNetInfo().label_names())}  # type: ignore[no-untyped-call]


def imagenet_dataset(
    root: Path,
    download: bool = False,
    progress: Progress = silent,
    image_shape: tuple[int, int, int] = IMAGE_SHAPE,
) -> Dataset:
    """Reads ImageNet from ``imagenet`` (or ``imagenet-sample``) below the root.

    Three layouts are understood, each with any part of the classes: ``train`` and ``val`` with one folder a class,
    named by its WordNet id; such folders alone; image files whose names begin with the id. Without ``train`` and
    ``val``, the fifth of all images whose names have the smallest SHA-256 are the test images.

    Args:
        root: folder of the data set files.
        download: ImageNet cannot be downloaded without an account; True changes the message alone.
        progress: is told how many files are checked.
        image_shape: (C, H, W) to which images are cropped and resized.

    Raises:
        DatasetError: if there is no such folder or no image in it, or a file cannot be read.
    """
    path = next((root / name for name in FOLDERS if (root / name).is_dir()), None)
    if path is None:
        nobody = " It cannot be downloaded: it asks for an account at image-net.org." if download else ""
        raise DatasetError(
            f"{root / FOLDERS[0]}: expected ImageNet's images, in folders or files named by WordNet ids (n01440764); "
            f"there is no such folder.{nobody} Put the images there, or set DETOUR_DATA to the folder above them."
        )
    train, test = _splits(path)
    found = survey(path, [file for file, _ in (*train, *test)], progress)
    sets = [
        FileImages([file for file, _ in split], np.array([label for _, label in split], dtype=np.int64), image_shape)
        for split in (train, test)
    ]
    key = hashlib.sha256(f"{found.key} {image_shape} imagenet".encode()).hexdigest()
    progress(1.0, f"ImageNet: {len(train):,} training and {len(test):,} test images")
    return Dataset("imagenet", "ImageNet", imagenet_classes(), image_shape, train=sets[0], test=sets[1], key=key)


def _splits(path: Path) -> tuple[Labelled, Labelled]:
    test_folder = next((path / part for part in TEST_FOLDERS if (path / part).is_dir()), None)
    if (path / "train").is_dir() and test_folder is not None:
        return _in_turn(_labelled(path / "train")), _in_turn(_labelled(test_folder))
    images = _labelled(test_folder or path)
    if len(images) < 2:
        raise DatasetError(f"{path}: expected two images at least, one to test on; there is one. Add others.")

    def order(image: tuple[Path, int]) -> bytes:
        return hashlib.sha256(image[0].relative_to(path).as_posix().encode()).digest()

    ordered = sorted(images, key=order)
    n_test = max(1, len(images) // TEST_SHARE)
    return _in_turn(ordered[n_test:]), _in_turn(ordered[:n_test])


def _labelled(path: Path) -> Labelled:
    """Every image below a folder with its class, by the WordNet id that its folder or its own name begins with."""
    images = []
    for file in sorted(path.rglob("*")):
        if file.suffix.lower() not in SUFFIXES or file.name.startswith(".") or not file.is_file():
            continue
        label = _class_of(file.relative_to(path).parts)
        if label is None:
            raise DatasetError(
                f"{file}: expected a folder or a file name that begins with the WordNet id of one of ImageNet's 1,000 "
                "classes, such as n01440764. Take this file away, or use it as a folder of images of your own."
            )
        images.append((file, label))
    if not images:
        raise DatasetError(f"{path}: expected images ({', '.join(SUFFIXES)}) of ImageNet; there are none.")
    return images


def _class_of(parts: tuple[str, ...]) -> int | None:
    return next((synsets()[part[:9]] for part in parts if part[:9] in synsets()), None)


def _in_turn(images: Labelled) -> Labelled:
    """The first image of each class, then the second of each: analyses that take the first images take all classes."""
    seen: dict[int, int] = {}
    places = []
    for file, label in sorted(images, key=lambda image: (image[1], image[0])):
        seen[label] = seen.get(label, -1) + 1
        places.append((seen[label], label, file))
    return [(file, label) for _, label, file in sorted(places)]
