"""How each shipped classifier is trained, so that anyone can train it again."""

from __future__ import annotations

from dataclasses import dataclass


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


RECIPES: dict[tuple[str, str], Recipe] = {
    ("lenet5", "mnist"): Recipe("adam", lr=1e-3, weight_decay=1e-4, batch_size=64, epochs=12),
    ("lenet5", "digits"): Recipe("adam", lr=2e-3, weight_decay=1e-4, batch_size=32, epochs=40),
    ("alexnet32", "cifar10"): Recipe(
        "adam", lr=1e-3, weight_decay=0.0, batch_size=128, epochs=14, flips=True, crop_padding=4,
        precision="bfloat16", stored="float16",
    ),
}  # fmt: skip
SMALL_IMAGES = Recipe("sgd", lr=0.05, weight_decay=5e-4, batch_size=128, epochs=30)


def recipe_for(architecture: str, dataset: str) -> Recipe:
    """The recipe of that pair, or a general one for small colour images."""
    return RECIPES.get((architecture, dataset), SMALL_IMAGES)
