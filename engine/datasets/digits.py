"""The 1,797 hand-written digits that come with scikit-learn: needs no files and no network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_digits

from engine.datasets.dataset import ArrayImages, Dataset, content_key

SIDE = 28
TEST_EVERY = 5


def digits_dataset() -> Dataset:
    """Digits as (1, 28, 28) images.

    The 8×8 originals hold ink counts of 0 to 16; they are scaled to 0 … 255 and enlarged bilinearly, so that models
    made for MNIST take them. Split: within each class, in scikit-learn's order, every fifth image (the 5th, 10th, …)
    is a test image: 1,442 for training and 355 for testing, the same on every machine.
    """
    bunch = load_digits()
    ink = np.rint(np.asarray(bunch.images) * (255 / 16)).astype(np.uint8)
    pixels = np.stack([_enlarge(image) for image in ink])[:, np.newaxis]
    labels = np.asarray(bunch.target, dtype=np.int64)
    is_test = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        is_test[np.flatnonzero(labels == digit)[TEST_EVERY - 1 :: TEST_EVERY]] = True
    return Dataset(
        name="digits",
        label="Digits (8×8)",
        classes=tuple(str(digit) for digit in range(10)),
        image_shape=(1, SIDE, SIDE),
        train=ArrayImages(pixels[~is_test], labels[~is_test]),
        test=ArrayImages(pixels[is_test], labels[is_test]),
        key=content_key("digits", pixels, labels, is_test),
    )


def _enlarge(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
