"""The optimiser and the learning rate's course that a recipe asks for."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from engine.hardening.recipes import Recipe

Schedule = torch.optim.lr_scheduler.LRScheduler


def optimizer_of(parameters: Iterable[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """Adam, or SGD with Nesterov momentum 0.9, over the given parameters."""
    trained = list(parameters)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(trained, recipe.lr, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(trained, recipe.lr, momentum=0.9, weight_decay=recipe.weight_decay, nesterov=True)


def schedule_of(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> Schedule:
    """Cosine decay to zero over all steps; before it, if the recipe says so, an even rise over its first steps."""
    rise = min(recipe.warmup_steps, steps - 1)
    if rise <= 0:
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    def share(step: int) -> float:
        if step < rise:
            return (step + 1) / (rise + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, share)
