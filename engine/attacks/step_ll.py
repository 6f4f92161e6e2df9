"""Step-LL: one step towards the least likely class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from engine.attacks.fgsm import FGSM
from engine.attacks.gradients import ascent_gradient
from engine.attacks.logits import Logits


@dataclass(frozen=True)
class StepLL(FGSM):
    """x' = clip(x − ε·sign(∇ₓL(x, y_LL))), Kurakin et al. 2017, "Adversarial machine learning at scale", section 2.2.

    y_LL is the class that the model holds least likely for the image; it succeeds when the prediction leaves the label,
    whether or not it gets there. Targeted, the step goes towards the given class instead.
    """

    name: ClassVar[str] = "step_ll"

    def prepare(
        self, model: Logits, images: Tensor, labels: Tensor, targets: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """The sign of the gradient at the image: one gradient serves every ε."""
        wanted = model(images).argmin(dim=1) if targets is None else targets
        return ascent_gradient(model, images, labels, wanted, self.loss).sign()
