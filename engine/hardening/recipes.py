"""How each shipped classifier is trained, so that anyone can train it again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of plain training: no augmentation, cosine decay of the learning rate to zero over all steps.

    Attributes:
        optimizer: "adam" (weight decay added to the gradient, as in the original) or "sgd" (Nesterov momentum 0.9).
        lr: learning rate at the first step.
        weight_decay: L2 penalty on all parameters.
        batch_size: images a step; the last batch of an epoch may be smaller.
        epochs: passes over the training images.
    """

    optimizer: str
    lr: float
    weight_decay: float
    batch_size: int
    epochs: int


RECIPES: dict[tuple[str, str], Recipe] = {
    ("lenet5", "mnist"): Recipe("adam", lr=1e-3, weight_decay=1e-4, batch_size=64, epochs=12),
    ("lenet5", "digits"): Recipe("adam", lr=2e-3, weight_decay=1e-4, batch_size=32, epochs=40),
}
SMALL_IMAGES = Recipe("sgd", lr=0.05, weight_decay=5e-4, batch_size=128, epochs=30)


def recipe_for(architecture: str, dataset: str) -> Recipe:
    """The recipe of that pair, or a general one for small colour images."""
    return RECIPES.get((architecture, dataset), SMALL_IMAGES)
