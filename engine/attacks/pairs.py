"""Images and their attacked copies, as the analyses of units take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.attacks.base import Attack
from engine.attacks.results import attack_once
from engine.datasets.dataset import ImageSet
from engine.errors import InvalidInputError
from engine.network.state import evaluating
from engine.progress import Progress, silent
from engine.registry import Value

SEARCH_BATCH = 500
BATCH = 100


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """N images that the model classifies correctly, each with what an attack made of it.

    Attributes:
        clean, adversarial: (N, C, H, W) float32 in [0, 1].
        labels: (N,) int64, the true classes, which the clean images are also given.
        predictions: (N,) int64, the classes that the attacked copies are given.
        indices: (N,) int64, places of the images in their split.
        attack: name of the attack.
        settings: its settings by name.
        seed: of its random choices.
    """

    clean: torch.Tensor
    adversarial: torch.Tensor
    labels: npt.NDArray[np.int64]
    predictions: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    attack: str
    settings: Mapping[str, Value]
    seed: int

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def misled(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the attacked copy is given another class."""
        return np.not_equal(self.predictions, self.labels)

    def of(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice) -> Pairs:
        """The pairs of some rows."""
        chosen = np.arange(len(self))[rows]
        at = torch.from_numpy(chosen)
        return Pairs(
            self.clean[at], self.adversarial[at], self.labels[chosen], self.predictions[chosen], self.indices[chosen],
            self.attack, self.settings, self.seed,
        )  # fmt: skip

    def batches(self, size: int = BATCH) -> Iterator[Pairs]:
        """The pairs in order, at most ``size`` at a time."""
        for first in range(0, len(self), size):
            yield self.of(slice(first, first + size))


def attack_pairs(
    model: nn.Module,
    images: ImageSet,
    attack: Attack,
    *,
    n_images: int = 1000,
    seed: int = 0,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Pairs:
    """Attacks the first images of a split that the model classifies correctly.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits.
        images: the split.
        attack: run untargeted.
        n_images: how many; fewer if there are not so many.
        seed: of the attack.
        folder: where attacked images are kept, so that the next call finds them; None keeps nothing.
        progress: may raise Cancelled.

    Raises:
        InvalidInputError: if no image is classified correctly.
    """
    indices = correctly_classified(model, images, n_images)
    if not len(indices):
        raise InvalidInputError("expected a model that classifies some images correctly; it gets none right.")
    clean, labels = images.images(indices), images.labels[indices]
    result = attack_once(attack, model, clean, labels, folder=folder, seed=seed, progress=progress)
    adversarial = torch.from_numpy(result.adversarial)
    return Pairs(clean, adversarial, labels, result.predictions_after, indices, result.attack, result.settings, seed)


def correctly_classified(model: nn.Module, images: ImageSet, count: int) -> npt.NDArray[np.int64]:
    """The places of the first ``count`` images that the model classifies correctly; fewer if there are not so many."""
    found: list[npt.NDArray[np.int64]] = []
    with evaluating(model), torch.no_grad():
        like = next(model.parameters())
        for first in range(0, len(images), SEARCH_BATCH):
            rows = np.arange(first, min(first + SEARCH_BATCH, len(images)))
            logits = model(images.images(rows).to(like))
            sound = torch.isfinite(logits).all(dim=1).cpu().numpy()  # NaN would win argmax
            found.append(rows[sound & (logits.argmax(dim=1).cpu().numpy() == images.labels[rows])])
            if sum(map(len, found)) >= count:
                break
    return np.concatenate(found)[:count]
