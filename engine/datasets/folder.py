"""Data sets in folders of images, one folder a class (the ImageFolder layout)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.datasets.dataset import Dataset, ImageSet, read_only
from engine.datasets.decode import decode_image, prepare_pixels
from engine.datasets.survey import survey, unreadable
from engine.errors import DatasetError, InvalidInputError
from engine.progress import Progress, silent

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
OTHER_IMAGES = (".gif", ".bmp", ".tif", ".tiff", ".heic", ".avif", ".svg", ".ppm", ".pgm")
TEST_SHARE = 5
TEST_FOLDERS = ("test", "val", "validation")
# Decoded images are kept in memory while a split as a whole is below this.
KEPT_BYTES = 512 * 2**20


class FileImages(ImageSet):
    """A split whose images are decoded from files on request, and kept as 8-bit pixels if the split is small."""

    def __init__(self, files: list[Path], labels: npt.NDArray[np.int64], image_shape: tuple[int, int, int]) -> None:
        """Takes N image files and their N labels; nothing is read yet."""
        self._files = files
        self._image_shape = image_shape
        self.labels = read_only(labels)
        self._kept: npt.NDArray[np.uint8] | None = None
        self._is_kept = np.zeros(len(files), dtype=bool)
        if len(files) * int(np.prod(image_shape)) <= KEPT_BYTES:
            self._kept = np.empty((len(files), *image_shape), dtype=np.uint8)

    def pixels(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """The images at ``indices`` as (n, C, H, W) uint8."""
        if self._kept is None:
            return np.stack([self._decode(index) for index in indices]) if len(indices) else self._nothing()
        for index in indices[~self._is_kept[indices]]:
            self._kept[index] = self._decode(index)
            self._is_kept[index] = True  # after the pixels, so that another thread never sees half an image
        return self._kept[indices]

    def _nothing(self) -> npt.NDArray[np.uint8]:
        return np.empty((0, *self._image_shape), dtype=np.uint8)

    def _decode(self, index: np.int64) -> npt.NDArray[np.uint8]:
        file = self._files[index]
        try:
            return prepare_pixels(decode_image(file.read_bytes()), self._image_shape)
        except (InvalidInputError, OSError) as error:
            raise unreadable(file, error) from error


def folder_dataset(
    path: Path,
    *,
    name: str | None = None,
    label: str | None = None,
    image_shape: tuple[int, int, int] | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Reads a folder of images, one subfolder a class.

    Classes are in alphabetical order; the images of a split take turns by class.
    With ``train`` and ``test`` (or ``val``, ``validation``) subfolders, these are the splits. Otherwise the split is
    fixed by file names alone: within each class, the fifth of the images (at least one) whose names have the smallest
    SHA-256 are the test images. Hidden files and files that are not images are left out.

    Args:
        path: the folder.
        name: identifier; the folder's name if None.
        label: what a person reads; the name if None.
        image_shape: (C, H, W) to which images are cropped and resized. If None: the images' own shape when all have
            the same size, else 224×224; one channel when all are grey, else three.
        progress: is told how many files are checked.

    Raises:
        DatasetError: for a folder that is absent or has one class, a class without images or with a single image,
            splits with different classes, or a file that cannot be read or is not a PNG, JPEG or WebP image; names
            the file.
    """
    if not path.is_dir():
        raise DatasetError(f"{path}: expected a folder with one subfolder of images a class; there is none.")
    splits, classes = _find_splits(path)
    found = survey(path, [file for split in splits for file, _ in split], progress)
    shape = image_shape or found.image_shape
    sets = [
        FileImages([file for file, _ in split], np.array([klass for _, klass in split], dtype=np.int64), shape)
        for split in splits
    ]
    key = hashlib.sha256(f"{found.key} {shape} {classes}".encode()).hexdigest()
    name = name or path.resolve().name
    progress(1.0, f"{name}: {len(sets[0]):,} training and {len(sets[1]):,} test images")
    folder = str(path.resolve())
    return Dataset(name, label or name, classes, shape, train=sets[0], test=sets[1], key=key, folder=folder)


Split = list[tuple[Path, int]]


def _find_splits(path: Path) -> tuple[tuple[Split, Split], tuple[str, ...]]:
    test_folder = next((path / part for part in TEST_FOLDERS if (path / part).is_dir()), None)
    if (path / "train").is_dir():
        if test_folder is None:
            raise DatasetError(
                f"{path}: it has a folder train, so one of {', '.join(TEST_FOLDERS)} is expected beside it; there is "
                "none. Rename the folder of test images, or the class called train."
            )
        train, test = _classes_of(path / "train"), _classes_of(test_folder)
        different = sorted(set(train) ^ set(test))
        if different:
            raise DatasetError(
                f"{path}: the class {different[0]!r} is in only one of train and {test_folder.name}; "
                "both need all classes."
            )
        pairs = {name: (train[name], test[name]) for name in train}
    else:
        pairs = {name: _divide(path / name, files) for name, files in _classes_of(path).items()}
    classes = tuple(sorted(pairs))
    train_split, test_split = (_in_turn([pairs[name][half] for name in classes]) for half in (0, 1))
    return (train_split, test_split), classes


def _in_turn(files_of_classes: list[list[Path]]) -> Split:
    """The first image of each class, then the second of each: analyses that take the first images take all classes."""
    split = [(place, index, file) for index, files in enumerate(files_of_classes) for place, file in enumerate(files)]
    return [(file, index) for _, index, file in sorted(split, key=lambda one: one[:2])]


def _classes_of(path: Path) -> dict[str, list[Path]]:
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(folders) < 2:
        found = f"only {folders[0].name!r}" if folders else "none"
        raise DatasetError(f"{path}: expected one subfolder a class, at least two; found {found}.")
    return {folder.name: _images_of(folder) for folder in folders}


def _images_of(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    for file in files:
        if file.suffix.lower() in OTHER_IMAGES:
            raise DatasetError(f"{file}: expected PNG, JPEG or WebP images; convert this file or take it away.")
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not images:
        raise DatasetError(f"{folder}: expected images ({', '.join(SUFFIXES)}); there are none.")
    return images


def _divide(folder: Path, files: list[Path]) -> tuple[list[Path], list[Path]]:
    if len(files) < 2:
        raise DatasetError(f"{files[0]}: the only image of its class; a class needs one to train and one to test on.")

    def order(file: Path) -> bytes:
        return hashlib.sha256(file.relative_to(folder).as_posix().encode()).digest()

    test = set(sorted(files, key=order)[: max(1, len(files) // TEST_SHARE)])
    return [file for file in files if file not in test], [file for file in files if file in test]
