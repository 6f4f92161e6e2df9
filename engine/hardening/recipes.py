"""How each shipped classifier is trained, so that anyone can train it again."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of plain training, with cosine decay of the learning rate to zero over all steps.

    Attributes:
        optimizer: "adam" (weight decay added to the gradient, as in the original) or "sgd" (Nesterov momentum 0.9).
        lr: learning rate at the first step.
        weight_decay: L2 penalty on all parameters.
        batch_size: images a step; the last batch of an epoch may be smaller.
        epochs: passes over the training images.
        flips: whether every image is mirrored left to right with probability one half.
        crop_padding: pixels of black border on each side, out of which a random window of the image's size is cut; 0
            for none.
        precision: "float32", or "bfloat16" for the layers' arithmetic (weights and loss stay float32).
        stored: "float32", or "float16" for weights that are rounded to half precision at the end, and kept so.
        warmup_steps: first steps over which the learning rate rises evenly from nearly zero to ``lr``.
        clip_norm: gradients of all weights together that are longer are shortened to this length; 0 never does.
    """

    optimizer: str
    lr: float
    weight_decay: float
    batch_size: int
    epochs: int
    flips: bool = False
    crop_padding: int = 0
    precision: str = "float32"
    stored: str = "float32"
    warmup_steps: int = 0
    clip_norm: float = 0.0

    def require_sound(self) -> None:
        """Refuses settings that cannot be trained with.

        Raises:
            InvalidInputError: naming the setting that is out of range.
        """
        if not (self.epochs >= 1 and 0 < self.lr < float("inf") and self.batch_size >= 1):
            raise InvalidInputError(
                "expected epochs ≥ 1, a positive learning rate and batch_size ≥ 1; "
                f"got {self.epochs}, {self.lr} and {self.batch_size}."
            )
        for name, value in (("weight_decay", self.weight_decay), ("clip_norm", self.clip_norm),
                            ("crop_padding", self.crop_padding), ("warmup_steps", self.warmup_steps)):  # fmt: skip
            if not 0 <= value < float("inf"):
                raise InvalidInputError(f"{name}: expected a number of at least 0; got {value}.")
        for name, chosen, choices in (("optimizer", self.optimizer, ("adam", "sgd")),
                                      ("precision", self.precision, ("float32", "bfloat16")),
                                      ("stored", self.stored, ("float32", "float16"))):  # fmt: skip
            if chosen not in choices:
                raise InvalidInputError(f"{name}: expected one of {', '.join(choices)}; got {chosen!r}.")


RECIPES: dict[tuple[str, str], Recipe] = {
    ("lenet5", "mnist"): Recipe("adam", lr=1e-3, weight_decay=1e-4, batch_size=64, epochs=12),
    ("lenet5", "digits"): Recipe("adam", lr=2e-3, weight_decay=1e-4, batch_size=32, epochs=40),
    ("alexnet32", "cifar10"): Recipe(
        "adam", lr=1e-3, weight_decay=0.0, batch_size=128, epochs=16, flips=True, crop_padding=4,
        precision="bfloat16", stored="float16",
    ),
    ("vgg16_narrow", "cifar10"): Recipe(
        "sgd", lr=0.1, weight_decay=5e-4, batch_size=128, epochs=25, flips=True, crop_padding=4,
        precision="bfloat16", stored="float16",
    ),
}  # fmt: skip
SMALL_IMAGES = Recipe("sgd", lr=0.05, weight_decay=5e-4, batch_size=128, epochs=30)


def recipe_for(architecture: str, dataset: str) -> Recipe:
    """The recipe of that pair, or a general one for small colour images."""
    return RECIPES.get((architecture, dataset), SMALL_IMAGES)
