"""What the images of a folder are together: read once, and kept until a file changes."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.datasets.decode import is_grey, open_image
from engine.errors import DatasetError, InvalidInputError
from engine.files import mark_used, write_atomically
from engine.locations import CACHE, data_directory
from engine.progress import Progress
from engine.version import VERSION

MIXED_SIDE = 224


@dataclass(frozen=True, slots=True)
class Survey:
    """What the files of a folder have in common.

    Attributes:
        image_shape: (C, H, W): the images' own size when all have the same, else 224×224; one channel when all are
            grey, else three.
        key: hash of the files' names and bytes, in order; 64 hexadecimal digits.
    """

    image_shape: tuple[int, int, int]
    key: str


def survey(path: Path, files: Sequence[Path], progress: Progress) -> Survey:
    """Reads the images of a folder, or takes what was read before.

    To hash 60,000 images takes 10 to 20 seconds, so the answer is kept in the user's data directory and holds while no
    file's name, size or time of modification changes. Where nothing can be written, every start reads them again.

    Args:
        path: the folder.
        files: images below it, in the order that the key depends on.
        progress: is told how many files are checked.

    Raises:
        DatasetError: for a file that cannot be read or is no image; names it.
    """
    stamp = _stamp(path, files)
    keep = data_directory() / CACHE / "surveys" / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()}.json"
    found = _kept(keep, stamp)
    if found is None:
        found = _read(path, files, progress)
        with contextlib.suppress(OSError):  # it only saves time
            keep.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"stamp": stamp, "image_shape": found.image_shape, "key": found.key})
            write_atomically(keep, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return found


def unreadable(file: Path, error: Exception) -> DatasetError:
    """The error of an image that cannot be read."""
    return DatasetError(f"{file}: cannot be read ({error}) Replace this file or take it away.")


def _stamp(path: Path, files: Sequence[Path]) -> str:
    """A hash of all names, sizes and times of modification, and of the program's version."""
    digest = hashlib.sha256(VERSION.encode())
    for file in files:
        try:
            about = file.stat()
        except OSError as error:
            raise unreadable(file, error) from error
        digest.update(f"{file.relative_to(path).as_posix()}\0{about.st_size} {about.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def _kept(keep: Path, stamp: str) -> Survey | None:
    try:
        read = json.loads(keep.read_text(encoding="utf-8"))
        channels, height, width = (int(side) for side in read["image_shape"])
        found = Survey((channels, height, width), str(read["key"]))
        is_valid = read["stamp"] == stamp
    except (OSError, ValueError, KeyError, TypeError):  # absent or damaged: the files say it again
        return None
    if is_valid:
        mark_used(keep)
    return found if is_valid else None


def _read(path: Path, files: Sequence[Path], progress: Progress) -> Survey:
    """Reads every file: its bytes for the key, its header for the shape and to find unreadable ones early."""
    digest = hashlib.sha256()
    sizes: set[tuple[int, int]] = set()
    all_grey = True
    for number, file in enumerate(files):
        try:
            data = file.read_bytes()
            with open_image(data) as image:
                sizes.add(image.size)
                all_grey = all_grey and is_grey(image)
        except (InvalidInputError, OSError) as error:
            raise unreadable(file, error) from error
        digest.update(f"{file.relative_to(path).as_posix()}\0".encode() + hashlib.sha256(data).digest())
        if number % 500 == 0:
            progress(number / len(files), f"Checked {number:,} of {len(files):,} files")
    width, height = sizes.pop() if len(sizes) == 1 else (MIXED_SIDE, MIXED_SIDE)
    return Survey((1 if all_grey else 3, height, width), digest.hexdigest())
