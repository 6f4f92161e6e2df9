"""The model as an attack sees it: a function from images to checked logits."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn

from engine.errors import EngineError


def device_of(module: nn.Module) -> torch.device:
    """Where the module's parameters or buffers lie; the CPU if it has none."""
    first = next(chain(module.parameters(), module.buffers()), None)
    return torch.device("cpu") if first is None else first.device


class Logits:
    """A model that answers with finite logits or raises.

    Attributes:
        module: the network.
        where: the batch at work, for messages ("batch index 2 (images 512 to 767)").
    """

    def __init__(self, module: nn.Module, where: str) -> None:
        """Wraps the network; nothing in it is changed."""
        self.module = module
        self.where = where

    def __call__(self, images: Tensor) -> Tensor:
        """The logits (N, K), K ≥ 2, of images (N, C, H, W).

        Raises:
            EngineError: if the output has another form, or holds NaN or infinity.
        """
        # A copy, so that a model that starts with an in-place operation cannot change the attack's own tensor.
        logits = self.module(images.clone())
        if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images) or logits.shape[1] < 2:
            came = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise EngineError(
                f"{self.where}: expected logits of shape ({len(images)}, classes ≥ 2) from the model; got {came}. "
                "Attack a model that returns one row of class scores per image."
            )
        self.require_finite(logits, "logits")
        return logits

    def predict(self, images: Tensor) -> Tensor:
        """The most likely class (N,) of each image; of equal logits the lower class."""
        return self(images).argmax(dim=1)

    def require_finite(self, values: Tensor, what: str) -> None:
        """Raises EngineError, naming the batch and the first image, unless all ``values`` (N, ...) are finite."""
        bad = ~torch.isfinite(values.detach()).flatten(1).all(dim=1)
        if bool(bad.any()):
            first = int(bad.nonzero()[0])
            raise EngineError(
                f"{self.where}: expected finite {what}; got NaN or infinity for {int(bad.sum())} of {len(values)} "
                f"images, first at position {first} of the batch. Check the model's weights and its input scale."
            )


def succeeded(predictions: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Whether each prediction (N,) is what the attack wants: the target, or without targets anything but the label."""
    return predictions != labels if targets is None else predictions == targets
