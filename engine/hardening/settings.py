"""Settings of a hardening's training, and those it has when none are given."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import torch

from engine.datasets.dataset import Dataset
from engine.errors import InvalidInputError
from engine.hardening.methods.base import Start
from engine.hardening.recipes import Recipe, recipe_for


@dataclass(frozen=True, slots=True)
class TrainingSettings(Recipe):
    """A recipe, and what hardening adds to it.

    Attributes:
        images: how many training images are used: a fixed subset, the same for every method and seed; None for all.
        start: "parent" trains the parent's weights on, "scratch" begins with random ones.
        held_out: test images that clean and robust accuracy are measured on after every epoch, to be looked at alone.
        held_out_epsilon: radius of that attack (PGD L∞), of full scale.
    """

    images: int | None = None
    start: Start = "parent"
    held_out: int = 200
    held_out_epsilon: float = 8 / 255

    def require_sound(self) -> None:
        """Refuses settings that cannot be trained with.

        Raises:
            InvalidInputError: naming the setting that is out of range.
        """
        Recipe.require_sound(self)
        if self.images is not None and self.images < 1:
            raise InvalidInputError(f"images: expected at least 1; got {self.images}.")
        if self.start not in ("parent", "scratch"):
            raise InvalidInputError(f"start: expected parent or scratch; got {self.start!r}.")
        if self.held_out < 0:
            raise InvalidInputError(f"held_out: expected at least 0 images; got {self.held_out}.")
        if not 0 <= self.held_out_epsilon <= 1:
            raise InvalidInputError(f"held_out_epsilon: expected a number from 0 to 1; got {self.held_out_epsilon}.")


#: Where the papers are silent: fine-tuning with a tenth of the usual first learning rate. The gradient is cut: while
#: all attacked copies are wrong, the stability term of SNS alone pulls ten times as hard as both cross entropies.
_COLOUR_PARENT = Recipe(
    "sgd", lr=0.01, weight_decay=5e-4, batch_size=128, epochs=10, flips=True, crop_padding=4, clip_norm=5.0
)
_GREY: dict[tuple[str, str], Recipe] = {
    ("mnist", "scratch"): Recipe("adam", lr=1e-3, weight_decay=1e-4, batch_size=64, epochs=6),
    ("mnist", "parent"): Recipe("adam", lr=1e-3, weight_decay=1e-4, batch_size=64, epochs=3),
    ("digits", "scratch"): Recipe("adam", lr=2e-3, weight_decay=1e-4, batch_size=32, epochs=15),
    ("digits", "parent"): Recipe("adam", lr=1e-3, weight_decay=1e-4, batch_size=32, epochs=10),
}
#: Strength that robust accuracy is watched at, by preset.
WATCHED = {"cifar10": 8 / 255, "mnist": 0.2, "digits": 0.1}


def preset_name(data: Dataset) -> str:
    """Which of the presets "cifar10", "mnist" and "digits" suits a data set."""
    if data.name in ("mnist", "digits"):
        return data.name
    return "mnist" if data.image_shape[0] == 1 else "cifar10"


def training_preset(architecture: str, data: Dataset, start: Start, *, device: str = "cpu") -> TrainingSettings:
    """The settings that are used when none are given.

    For colour images, from random weights the architecture's own recipe, from a parent ten epochs of SGD from a
    learning rate of 0.01; for MNIST and the digits few epochs of Adam. Bfloat16 only where the device computes in it.
    """
    name = preset_name(data)
    if name != "cifar10":
        recipe = _GREY[name, start]
    else:
        usual = recipe_for(architecture, data.name)
        recipe = usual if start == "scratch" else replace(_COLOUR_PARENT, stored=usual.stored)
        recipe = replace(recipe, flips=True, crop_padding=4, precision=usual_precision(device))
    return TrainingSettings(**asdict(recipe), start=start, held_out_epsilon=WATCHED[name])


def usual_precision(device: str) -> str:
    """What layers compute in on a device: "bfloat16" where it has instructions for that, else "float32"."""
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    has_instructions = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if has_instructions else "float32"
