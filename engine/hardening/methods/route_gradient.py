"""The penalty on the gradients of the route's units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from engine.hardening.capture import Taps
from engine.hardening.methods.adversarial import ATTACK_PARAMETERS
from engine.hardening.methods.base import Job, Losses
from engine.hardening.methods.route import ON, ROUTE_SHARE, RouteMethod, RouteObjective
from engine.network.units import find_unit_layers
from engine.progress import Progress
from engine.registry import Parameter

GRADIENTS = Parameter(
    "gradients", "Weight of the gradients λ", "float", 0.03, low=0.0, high=1000.0,
    help="What the loss's gradients at the units of the route count in the loss.",
)  # fmt: skip


@dataclass(frozen=True)
class RouteGradient(RouteMethod):
    """Vanilla_g and PAT_g: + λ·Σ|∂L/∂Z| over the units of the route (Li et al. 2020, equations 9 to 12).

    L is each image's own cross entropy; the absolute values are summed over a unit's elements and averaged over the
    batch. On PAT's loss the penalty is taken on images and on attacked copies. The paper gives no λ; that of
    0.03 makes the penalty about a tenth of PAT's loss at the start of LeNet-5 on MNIST, and is far more than the cross
    entropy alone ever is there.
    """

    gradients: float = 0.03

    name: ClassVar[str] = "route_gradient"
    parameters: ClassVar[tuple[Parameter, ...]] = (GRADIENTS, ON, ROUTE_SHARE, *ATTACK_PARAMETERS)

    def objective(self, job: Job) -> PenalisedGradients:
        """The loss with the penalty."""
        self.require_parent(job)
        return PenalisedGradients(job, self)


class PenalisedGradients(RouteObjective):
    """The loss + λ·mean Σ|∂L/∂Z| over the route's units, by a second backward pass through the first."""

    def __init__(self, job: Job, method: RouteGradient) -> None:
        """Takes λ."""
        super().__init__(job, method)
        self._weights = {**self.base_weights, "gradients": method.gradients}
        self._taps: Taps | None = None

    def use(self) -> None:
        """Looks at the layers with units on the route."""
        self._taps = Taps(self.network, find_unit_layers(self.network, self.units))

    def losses(self, images: Tensor, labels: Tensor, where: str, progress: Progress) -> Losses:
        """The terms ``clean``, ``adversarial`` (on PAT's loss) and ``gradients``."""
        assert self._taps is not None, "the route is found before the first batch"
        attacked = [self.attacked(images, labels, where, progress)] if self.on_pat else []
        with self._taps.recording() as outputs:
            logits = self.forward(torch.cat([images, *attacked]))
        clean, adversarial = logits[: len(images)], logits[len(images) :] if attacked else None
        terms = self.base_terms(clean, adversarial, labels)
        return Losses(clean, terms | {"gradients": self._gradients(outputs, logits, labels)}, self._weights)

    def _gradients(self, outputs: Mapping[str, Tensor], logits: Tensor, labels: Tensor) -> Tensor:
        """Σ|∂L/∂Z| over the route's units of all images and copies, for each of the N images."""
        # Summed over the images, so that each one's gradient is that of its own loss.
        loss = functional.cross_entropy(logits, labels.repeat(len(logits) // len(labels)), reduction="sum")
        found = torch.autograd.grad(loss, list(outputs.values()), create_graph=True)
        parts = [
            gradient.index_select(1, torch.from_numpy(self.units[name]).to(gradient.device)).float().abs().sum()
            for name, gradient in zip(outputs, found, strict=True)
        ]
        return torch.stack(parts).sum() / len(labels)
