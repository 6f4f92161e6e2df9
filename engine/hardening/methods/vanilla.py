"""Plain training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from engine.hardening.methods.base import HardeningMethod, Job, Losses, Objective
from engine.progress import Progress
from engine.registry import Parameter


class CrossEntropy(Objective):
    """The mean cross entropy of the images, in nats."""

    def losses(self, images: Tensor, labels: Tensor, where: str, progress: Progress) -> Losses:
        """The one term ``clean``."""
        logits = self.forward(images)
        return Losses(logits, {"clean": functional.cross_entropy(logits, labels)}, {"clean": 1.0})


@dataclass(frozen=True)
class Vanilla(HardeningMethod):
    """Training without attacks: what hardened models are compared with."""

    name: ClassVar[str] = "vanilla"
    parameters: ClassVar[tuple[Parameter, ...]] = ()

    def objective(self, job: Job) -> CrossEntropy:
        """The cross entropy."""
        return CrossEntropy(job)
