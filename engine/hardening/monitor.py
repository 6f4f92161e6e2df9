"""Clean and robust accuracy on a few held-out images, for the curves that are looked at while a run goes on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from engine.attacks.logits import Logits, device_of
from engine.attacks.pgd_linf import PGDLinf
from engine.datasets.dataset import ImageSet
from engine.hardening.crafting import craft
from engine.network.state import evaluating
from engine.progress import Progress

BATCH = 250
STEPS = 10
RELATIVE_STEP = 0.3162


@dataclass(frozen=True, slots=True)
class HeldOutAccuracy:
    """Shares of the held-out images, 0 to 1: right as they are; and right both as they are and attacked."""

    clean: float
    robust: float


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """The first images of the test split, and the attack on them: PGD L∞ of 10 steps of ε/√10 from a random start.

    Attributes:
        images: the test split.
        count: how many of its images.
        epsilon: radius of the attack, of full scale.
        seed: of its random starts, the same after every epoch.
    """

    images: ImageSet
    count: int
    epsilon: float
    seed: int

    def measure(self, model: nn.Module, *, bfloat16: bool, where: str, progress: Progress) -> HeldOutAccuracy:
        """The accuracies of a model, which is left as it was. Attacks are made in the run's precision, judged in full.

        Raises:
            EngineError: if the model answers with NaN or infinity.
        """
        attack = PGDLinf(epsilon=self.epsilon, steps=STEPS, relative_step=RELATIVE_STEP)
        generator = torch.Generator().manual_seed(self.seed)
        device, logits = device_of(model), Logits(model, where)
        right = kept = 0
        for first in range(0, self.count, BATCH):
            rows = np.arange(first, min(first + BATCH, self.count))
            images = self.images.images(rows).to(device)
            labels = torch.as_tensor(self.images.labels[rows], device=device)
            attacked = craft(
                model, attack, images, labels, generator, bfloat16=bfloat16, where=where, progress=progress
            )
            with torch.no_grad(), evaluating(model):
                correct = logits.predict(images) == labels
                kept += int((correct & (logits.predict(attacked) == labels)).sum())
                right += int(correct.sum())
        return HeldOutAccuracy(right / self.count, kept / self.count)
