"""MI-FGSM: the iterative method with momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from engine.attacks.bim import BIM
from engine.registry import Parameter

DECAY = Parameter(
    "decay",
    "Momentum μ",
    "float",
    1.0,
    low=0.0,
    high=10.0,
    help="Share of the gathered gradient that each step keeps; 0 is BIM.",
)


@dataclass(frozen=True)
class MIFGSM(BIM):
    """BIM whose steps follow a gathered gradient, Dong et al. 2018, algorithm 1.

    g_{t+1} = μ·g_t + ∇L(x_t)/‖∇L(x_t)‖₁ (equation 6) and x_{t+1} = x_t + α·sign(g_{t+1}) (equation 7), with the paper's
    μ = 1, T = 10 and α = ε/T; kept in the ball and in [0, 1] after each step. The gradients are gathered, not their
    signs.
    """

    name: ClassVar[str] = "mi_fgsm"
    parameters: ClassVar[tuple[Parameter, ...]] = (*BIM.parameters[:3], DECAY, *BIM.parameters[3:])

    decay: float = 1.0

    def accumulate(self, past: Tensor, gradient: Tensor) -> Tensor:
        """The decayed past plus the gradient divided by its L1 norm; a gradient of zero adds nothing."""
        # Divided by the largest element first: the sum of a nearly saturated loss's gradient may be too small a number.
        largest = gradient.abs().amax(dim=(1, 2, 3), keepdim=True)
        scaled = torch.where(largest > 0, gradient / largest, torch.zeros_like(gradient))
        return self.decay * past + scaled / scaled.abs().sum(dim=(1, 2, 3), keepdim=True).clamp_min(1.0)
