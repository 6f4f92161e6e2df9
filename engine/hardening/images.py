"""Which images a run trains on, what they are normalised by, and how many a model gets right."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.datasets.dataset import ImageSet, read_only
from engine.errors import InvalidInputError

EVALUATION_BATCH = 1000
#: Not the run's own seed, so that runs of other methods and seeds on as many images see the same ones.
SUBSET_SEED = 0


class ChosenImages(ImageSet):
    """Some images of a split, as a split of their own."""

    def __init__(self, source: ImageSet, rows: npt.NDArray[np.int64]) -> None:
        """Looks at the images of ``source`` at ``rows``, in that order."""
        self._source = source
        self._rows = rows
        self.labels = read_only(source.labels[rows])

    def pixels(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """The images at ``indices`` as (n, C, H, W) uint8."""
        return self._source.pixels(self._rows[indices])


def fixed_subset(images: ImageSet, count: int | None) -> ImageSet:
    """So many images of a split, drawn at random once and for all: the same for every method and every seed.

    Args:
        images: the split.
        count: how many; None takes all.

    Raises:
        InvalidInputError: for more images than there are.
    """
    if count is None or count == len(images):
        return images
    if count > len(images):
        raise InvalidInputError(f"images: expected at most {len(images):,}, which there are; got {count:,}.")
    drawn = torch.randperm(len(images), generator=torch.Generator().manual_seed(SUBSET_SEED))[:count]
    return ChosenImages(images, np.sort(drawn.numpy()))


def channel_statistics(images: ImageSet, *, limit: int = 10_000) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel in [0, 1], of at most ``limit`` evenly spaced images, to four digits."""
    chosen = np.linspace(0, len(images) - 1, min(limit, len(images))).astype(np.int64)
    pixels = images.pixels(chosen).astype(np.float64) / 255
    mean, std = pixels.mean(axis=(0, 2, 3)), pixels.std(axis=(0, 2, 3))
    # A constant channel has no spread; it is shifted only.
    return tuple(round(float(m), 4) for m in mean), tuple(round(float(s), 4) or 1.0 for s in std)


def evaluate_accuracy(model: nn.Module, images: ImageSet) -> float:
    """Share of images whose largest logit is their label's; the model is used in its present mode."""
    right = 0
    device = next(model.parameters()).device
    with torch.no_grad():
        for batch in np.array_split(np.arange(len(images)), -(-len(images) // EVALUATION_BATCH)):
            logits = model(images.images(batch).to(device))
            # NaN would win argmax; it is never a correct prediction.
            sound = torch.isfinite(logits).all(dim=1)
            labels = torch.as_tensor(images.labels[batch], device=device)
            right += int(((logits.argmax(dim=1) == labels) & sound).sum())
    return right / len(images)
