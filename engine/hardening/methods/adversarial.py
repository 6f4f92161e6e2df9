"""What methods that train on attacked copies have in common: how the copies are made, and their half of the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from engine.attacks.pgd_linf import PGDLinf
from engine.hardening.crafting import craft
from engine.hardening.methods.base import HardeningMethod, Job, Objective
from engine.progress import Progress
from engine.registry import Parameter

#: 8/255 in ten steps of ε/√10, from a random start: the setting of Zhang et al. 2020, section V-A.
EPSILON = Parameter(
    "epsilon", "Strength ε", "float", 8 / 255, low=0.0, high=1.0, unit="of full scale",
    help="Largest change of any pixel value in the attacked copies that are trained on.",
)  # fmt: skip
STEPS = Parameter(
    "steps", "Steps", "int", 10, low=1, high=1000,
    help="Gradient steps that make an attacked copy; each costs about as much as a step of plain training.",
)  # fmt: skip
RELATIVE_STEP = Parameter(
    "relative_step", "Step size α/ε", "float", 0.3162, low=1e-4, high=2.0, unit="of ε",
    help="Length of one step as a share of ε; below 1/steps the edge of the ball cannot be reached.",
)  # fmt: skip
ATTACK_PARAMETERS = (EPSILON, STEPS, RELATIVE_STEP)


@dataclass(frozen=True)
class AdversarialMethod(HardeningMethod):
    """A method that attacks its training images by PGD in the L∞ ball, from a random start."""

    epsilon: float = 8 / 255
    steps: int = 10
    relative_step: float = 0.3162

    parameters: ClassVar[tuple[Parameter, ...]] = ATTACK_PARAMETERS

    def attack(self) -> PGDLinf:
        """The attack that makes the copies."""
        return PGDLinf(epsilon=self.epsilon, steps=self.steps, relative_step=self.relative_step)


class PairedObjective(Objective):
    """An objective on images x and their attacked copies x'.

    Both go through the network in one batch, one to one as in Zhang et al. 2020, section V-A: batch norm sees the
    mixture that its running statistics will describe.
    """

    def __init__(self, job: Job, attack: PGDLinf) -> None:
        """Takes the attack, and a generator of its own for its random starts."""
        super().__init__(job)
        self.attack = attack
        self.generators["attack"] = torch.Generator().manual_seed((job.seed + 2) % 2**63)

    def attacked(self, images: Tensor, labels: Tensor, where: str, progress: Progress) -> Tensor:
        """The attacked copies (N, C, H, W), made on the model as it is now."""
        return craft(
            self.job.model, self.attack, images, labels, self.generators["attack"], bfloat16=self.job.bfloat16,
            where=where, progress=progress,
        )  # fmt: skip

    def paired_logits(self, images: Tensor, attacked: Tensor) -> tuple[Tensor, Tensor]:
        """The logits (N, K) of the images, and those of their copies, from one pass."""
        clean, adversarial = self.forward(torch.cat([images, attacked])).chunk(2)
        return clean, adversarial


def halves(clean: Tensor, adversarial: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The cross entropies of images and copies from their logits (N, K): the terms ``clean`` and ``adversarial``."""
    return {
        "clean": functional.cross_entropy(clean, labels),
        "adversarial": functional.cross_entropy(adversarial, labels),
    }


#: PAT's loss is the mean over both.
HALVES = {"clean": 0.5, "adversarial": 0.5}
