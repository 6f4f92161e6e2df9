"""The model as an attack sees it: a function from images to checked logits."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn

from engine.errors import EngineError, InvalidInputError


def device_of(module: nn.Module) -> torch.device:
    """Where the module's parameters or buffers lie; the CPU if it has none."""
    first = next(chain(module.parameters(), module.buffers()), None)
    return torch.device("cpu") if first is None else first.device


class Logits:
    """A model that answers with finite logits or raises.

    Attributes:
        module: the network.
        where: the batch at work, for messages ("batch index 2 (images 512 to 767)").
        dtype: of the parameters; images are turned into it, and logits back into the images' own.
    """

    def __init__(self, module: nn.Module, where: str) -> None:
        """Wraps the network; nothing in it is changed."""
        self.module = module
        self.where = where
        first = next((p for p in module.parameters() if p.is_floating_point()), None)
        self.dtype = torch.float32 if first is None else first.dtype

    def __call__(self, images: Tensor) -> Tensor:
        """The logits (N, K), K ≥ 2, of images (N, C, H, W).

        Raises:
            EngineError: if the output has another form, or holds NaN or infinity.
        """
        # A copy, so that a model that starts with an in-place operation cannot change the attack's own tensor.
        logits = self.module(images.clone() if self.dtype == images.dtype else images.to(self.dtype))
        if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images) or logits.shape[1] < 2:
            came = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise EngineError(
                f"{self.where}: expected logits of shape ({len(images)}, classes ≥ 2) from the model; got {came}. "
                "Attack a model that returns one row of class scores per image."
            )
        self.require_finite(logits, "logits")
        return logits.to(images.dtype)

    def require_fit(self, images: Tensor) -> Tensor:
        """The logits; raises InvalidInputError unless the model takes such images (N, C, H, W)."""
        try:
            return self(images)
        except (RuntimeError, AssertionError) as error:
            raise InvalidInputError(
                f"expected images that the model takes; it refuses shape {tuple(images.shape[1:])} (C, H, W): {error}"
            ) from error

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


#: A new class counts only when it leads by this share of the largest logit. Less is rounding noise, which changes with
#: the number of images in a batch, so that the verdict would change with the company an image is in.
LEAD = 1e-5


def succeeded(predictions: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Whether each prediction (N,) is what the attack wants: the target, or without targets anything but the label."""
    return predictions != labels if targets is None else predictions == targets


def clearly_succeeded(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Whether each row of logits (N, K) says what the attack wants by more than rounding noise."""
    leaders = logits.topk(2, dim=1).values
    clear = leaders[:, 0] - leaders[:, 1] > LEAD * logits.abs().amax(dim=1)
    return succeeded(logits.argmax(dim=1), labels, targets) & clear
