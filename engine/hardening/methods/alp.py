"""Adversarial logit pairing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from engine.attacks.pgd_linf import PGDLinf
from engine.hardening.methods.adversarial import (
    ATTACK_PARAMETERS,
    HALVES,
    AdversarialMethod,
    PairedObjective,
    halves,
)
from engine.hardening.methods.base import Job, Losses
from engine.progress import Progress
from engine.registry import Parameter

PAIRING = Parameter(
    "pairing", "Weight of the pairing λ", "float", 0.5, low=0.0, high=1000.0,
    help="What the squared distance between the logits of an image and of its attacked copy counts in the loss.",
)  # fmt: skip


class PairedLogits(PairedObjective):
    """PAT's loss + λ·mean ‖z(x) − z(x')‖², the square of the Euclidean distance of the logits."""

    def __init__(self, job: Job, attack: PGDLinf, weight: float) -> None:
        """Takes the attack and λ."""
        super().__init__(job, attack)
        self._weights = {**HALVES, "pairing": weight}

    def losses(self, images: Tensor, labels: Tensor, where: str, progress: Progress) -> Losses:
        """The terms ``clean``, ``adversarial`` and ``pairing``."""
        clean, adversarial = self.paired_logits(images, self.attacked(images, labels, where, progress))
        pairing = (clean - adversarial).square().sum(dim=1).mean()
        return Losses(clean, {**halves(clean, adversarial, labels), "pairing": pairing}, self._weights)


@dataclass(frozen=True)
class ALP(AdversarialMethod):
    """PAT with the logits of image and attacked copy drawn together.

    Kannan et al. 2018, with the weight that Zhang et al. 2020, section V-A, give. They say "ℓ2 loss" and no more; here
    it is the squared distance, summed over the logits and averaged over the batch. From the weights of a vanilla model,
    whose logits an attack moves far, this λ can end in the same answer for all images: begin from scratch or from a
    model that PAT hardened, or lower it.
    """

    pairing: float = 0.5

    name: ClassVar[str] = "alp"
    parameters: ClassVar[tuple[Parameter, ...]] = (PAIRING, *ATTACK_PARAMETERS)

    def objective(self, job: Job) -> PairedLogits:
        """PAT's loss and the pairing."""
        return PairedLogits(job, self.attack(), self.pairing)
