"""PGD-based adversarial training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from engine.hardening.methods.adversarial import HALVES, AdversarialMethod, PairedObjective, halves
from engine.hardening.methods.base import Job, Losses
from engine.progress import Progress


class HalfAttacked(PairedObjective):
    """½·CE(x) + ½·CE(x')."""

    def losses(self, images: Tensor, labels: Tensor, where: str, progress: Progress) -> Losses:
        """The terms ``clean`` and ``adversarial``."""
        clean, adversarial = self.paired_logits(images, self.attacked(images, labels, where, progress))
        return Losses(clean, halves(clean, adversarial, labels), HALVES)


@dataclass(frozen=True)
class PAT(AdversarialMethod):
    """Training on clean and attacked images in equal parts, as in Zhang et al. 2020, section V-A.

    Madry et al. 2018 train on attacked images alone.
    """

    name: ClassVar[str] = "pat"

    def objective(self, job: Job) -> HalfAttacked:
        """The mean of the two cross entropies."""
        return HalfAttacked(job, self.attack())
