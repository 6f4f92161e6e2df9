"""FGSM: one step of the fast gradient sign method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from engine.attacks.bounded import LINF_EPSILON, LOSS, SEARCH, BoundedAttack, search_steps
from engine.attacks.gradients import ascent_gradient
from engine.attacks.logits import Logits
from engine.progress import Progress
from engine.registry import Parameter, Value

#: What Qiu et al. 2018 and 2019 ran: the search of Foolbox 1.3.2.
FGSM_PRESETS: dict[str, dict[str, Value]] = {"authors": {"search": True, "search_steps": 1000}}


@dataclass(frozen=True)
class FGSM(BoundedAttack):
    """x' = clip(x + ε·sign(∇ₓL(x, y))), Goodfellow et al. 2015, section 4; targeted, a step down the target's loss."""

    name: ClassVar[str] = "fgsm"
    parameters: ClassVar[tuple[Parameter, ...]] = (LINF_EPSILON, LOSS, SEARCH, search_steps(1000))

    search_steps: int = 1000

    def prepare(
        self, model: Logits, images: Tensor, labels: Tensor, targets: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """The sign of the gradient at the image: one gradient serves every ε."""
        return ascent_gradient(model, images, labels, targets, self.loss).sign()

    def perturb_within(
        self,
        epsilon: float,
        model: Logits,
        images: Tensor,
        prepared: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        progress: Progress,
    ) -> Tensor:
        """One step of length ε."""
        progress(0.0, "step 1 of 1")
        return (images + epsilon * prepared).clamp(0.0, 1.0)
