"""What a caller may give an attack: images, labels, targets and a seed, checked before any work begins."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.errors import InvalidInputError

Images = Tensor | npt.NDArray[np.floating]
Classes = Tensor | npt.NDArray[np.integer] | Sequence[int]


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Images, labels and targets that fit each other.

    Attributes:
        images: (N, C, H, W) float32 in [0, 1].
        labels: (N,) int64, not negative.
        targets: (N,) int64, not negative, or None for an untargeted attack.
    """

    images: Tensor
    labels: Tensor
    targets: Tensor | None

    def part(self, rows: slice, device: torch.device) -> Inputs:
        """Copies of some images with their labels and targets, on another device; the originals stay untouched."""
        # Clones, because tensors made in a caller's inference mode cannot take part in a gradient.
        images, labels = self.images[rows].clone().to(device), self.labels[rows].clone().to(device)
        return Inputs(images, labels, None if self.targets is None else self.targets[rows].clone().to(device))

    def chosen(self, rows: Tensor) -> Inputs:
        """Some images, by index, with their labels and targets."""
        targets = None if self.targets is None else self.targets[rows]
        return Inputs(self.images[rows], self.labels[rows], targets)

    def require_classes(self, count: int) -> None:
        """Raises InvalidInputError unless all labels and targets are below ``count``, the model's number of classes."""
        for what, values in (("labels", self.labels), ("targets", self.targets)):
            if values is not None and int(values.max()) >= count:
                raise InvalidInputError(
                    f"{what}: expected classes from 0 to {count - 1}, the model's; got {int(values.max())}. "
                    "Use the labels of the data set the model was made for."
                )


def checked_inputs(images: Images, labels: Classes, targets: Classes | None) -> Inputs:
    """The inputs as tensors.

    Raises:
        InvalidInputError: if a shape, a type or a value is not what an attack can use.
    """
    checked = _checked_images(images)
    return Inputs(
        checked,
        _checked_classes("labels", labels, len(checked)),
        None if targets is None else _checked_classes("targets", targets, len(checked)),
    )


def checked_seed(seed: int) -> int:
    """The seed as an int from 0 to 2⁶³ − 1; raises InvalidInputError for anything else."""
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < 2**63:
        raise InvalidInputError(f"seed: expected a whole number from 0 to 2^63 - 1; got {str(seed)[:60]!r}.")
    return number


def _checked_images(images: Images) -> Tensor:
    tensor = torch.from_numpy(images) if isinstance(images, np.ndarray) else images
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        came = tensor.dtype if isinstance(tensor, Tensor) else type(images).__name__
        raise InvalidInputError(f"images: expected floating-point numbers in [0, 1]; got {came}. Divide bytes by 255.")
    if tensor.ndim != 4 or tensor.numel() == 0:
        raise InvalidInputError(
            f"images: expected shape (N, C, H, W) with at least one image; got {tuple(tensor.shape)}. "
            "Give a single image as images[None]."
        )
    tensor = tensor.detach().to(torch.float32)
    low, high = (float(value) for value in tensor.aminmax())
    if not (low >= 0 and high <= 1):  # also false for NaN, which aminmax passes on
        raise InvalidInputError(
            f"images: expected finite values in [0, 1]; got values from {low:g} to {high:g}. "
            "Normalisation belongs in the model: give the images before it."
        )
    return tensor


def _checked_classes(what: str, classes: Classes, count: int) -> Tensor:
    values = np.asarray(classes.detach().cpu() if isinstance(classes, Tensor) else classes)
    if values.shape != (count,) or values.dtype.kind not in "iu":
        raise InvalidInputError(
            f"{what}: expected {count} whole numbers, one per image; got shape {values.shape} of {values.dtype}."
        )
    if int(values.min()) < 0:
        raise InvalidInputError(f"{what}: expected classes from 0 up; got {int(values.min())}.")
    return torch.from_numpy(values.astype(np.int64))
