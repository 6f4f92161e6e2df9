"""What a data set is: two splits of labelled images, its classes, and a key by content."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from engine.errors import DatasetError, InvalidInputError

Indices = Sequence[int] | npt.NDArray[np.int64]


class ImageSet(ABC):
    """One split: labelled images of one shape, read by index.

    Attributes:
        labels: (N,) int64, read-only, index of each image's class.
    """

    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, indices: Indices) -> torch.Tensor:
        """The images at ``indices``, in that order, as (n, C, H, W) float32 in [0, 1] on the CPU.

        Raises:
            InvalidInputError: for an index outside 0 … N-1 (negative ones do not count from the end).
            DatasetError: if an image's file cannot be read; names the file.
        """
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        outside = wanted[(wanted < 0) | (wanted >= len(self))]
        if outside.size:
            raise InvalidInputError(f"image index: expected 0 to {len(self) - 1}; got {int(outside[0])}.")
        return torch.from_numpy(self.pixels(wanted)).to(torch.float32).div_(255.0)

    @abstractmethod
    def pixels(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """The images at valid ``indices`` as a new (n, C, H, W) uint8 array."""


class ArrayImages(ImageSet):
    """A split held in memory as 8-bit pixels; a request converts only what it asks for."""

    def __init__(self, pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> None:
        """Keeps ``pixels`` (N, C, H, W) and ``labels`` (N,).

        Raises:
            DatasetError: if there are not as many labels as images.
        """
        if pixels.ndim != 4 or len(pixels) != len(labels):
            raise DatasetError(f"expected (N, C, H, W) pixels and N labels; got {pixels.shape} and {labels.shape}.")
        self._pixels = pixels
        self.labels = read_only(labels)

    def pixels(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """The images at ``indices`` as (n, C, H, W) uint8."""
        return self._pixels[indices]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set with its two splits.

    Attributes:
        name: identifier, as in the catalogue.
        label: what a person reads.
        classes: class names; a label is an index into them.
        image_shape: (C, H, W) of every image.
        train, test: the splits.
        key: hash of the content, hexadecimal; changes when a pixel, a label or the split does.
        folder: the folder of images it was read from, for one that is not in the catalogue; else "".
    """

    name: str
    label: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    train: ImageSet
    test: ImageSet
    key: str
    folder: str = ""


def read_only(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A read-only int64 copy of ``labels``."""
    copy = np.array(labels, dtype=np.int64)
    copy.setflags(write=False)
    return copy


def content_key(*parts: str | npt.NDArray[np.generic]) -> str:
    """A hash of texts and arrays (their bytes, shapes and types), in order; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            encoded = part.encode()
            digest.update(f"text {len(encoded)};".encode() + encoded)
        else:
            digest.update(f"array {part.dtype.str} {part.shape};".encode())
            digest.update(np.ascontiguousarray(part).view(np.uint8).reshape(-1).data)
    return digest.hexdigest()
