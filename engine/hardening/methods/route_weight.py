"""The penalty on the weights between units of the route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from engine.hardening.freezing import kernel_of
from engine.hardening.methods.adversarial import ATTACK_PARAMETERS
from engine.hardening.methods.base import Job, Losses
from engine.hardening.methods.route import ON, ROUTE_SHARE, RouteMethod, RouteObjective
from engine.progress import Progress
from engine.registry import Parameter
from engine.route.connections import connections

WEIGHTS = Parameter(
    "weights", "Weight of the weights λ", "float", 0.05, low=0.0, high=1000.0,
    help="What the sum of the absolute weights between units of the route counts in the loss.",
)  # fmt: skip


@dataclass(frozen=True)
class RouteWeight(RouteMethod):
    """Vanilla_w and PAT_w: + λ·Σ‖w‖₁ over the kernels between units of the route (Li et al. 2020, equations 13 to 15).

    The kernels are the convolutions' own, before a batch norm is folded into them. The paper gives no λ;
    that of 0.05 makes the penalty about a tenth of PAT's loss at the start of LeNet-5 on MNIST, and far outweighs the
    cross entropy alone there.
    """

    weights: float = 0.05

    name: ClassVar[str] = "route_weight"
    parameters: ClassVar[tuple[Parameter, ...]] = (WEIGHTS, ON, ROUTE_SHARE, *ATTACK_PARAMETERS)

    def objective(self, job: Job) -> PenalisedWeights:
        """The loss with the penalty."""
        self.require_parent(job)
        return PenalisedWeights(job, self)


class PenalisedWeights(RouteObjective):
    """The loss + λ·Σ|w| over the connections of the route."""

    def __init__(self, job: Job, method: RouteWeight) -> None:
        """Takes λ."""
        super().__init__(job, method)
        self._weights = {**self.base_weights, "weights": method.weights}
        self._kernels: list[tuple[Tensor, Tensor]] = []

    def use(self) -> None:
        """Marks the kernels between units of the route: parameters (O, C, kh, kw), each with an (O, C) mask."""
        self._kernels = [
            (kernel_of(self.network, link.node), torch.from_numpy(link.weights_between(self.units)).to(self.job.device))
            for link in connections(self.network)
            if link.within(self.units)
        ]

    def losses(self, images: Tensor, labels: Tensor, where: str, progress: Progress) -> Losses:
        """The terms ``clean``, ``adversarial`` (on PAT's loss) and ``weights``."""
        clean, adversarial = self.logits(images, labels, where, progress)
        sums = [kernel[mask].abs().sum() for kernel, mask in self._kernels]
        penalty = torch.stack(sums).sum() if sums else clean.new_zeros(())
        return Losses(clean, self.base_terms(clean, adversarial, labels) | {"weights": penalty}, self._weights)
