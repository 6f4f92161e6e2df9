"""What the two penalties on the critical attacking route have in common: the route, and the loss they are added to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from engine.errors import InvalidInputError
from engine.hardening.methods.adversarial import (
    ATTACK_PARAMETERS,
    HALVES,
    AdversarialMethod,
    PairedObjective,
    halves,
)
from engine.hardening.methods.base import Job
from engine.hardening.selection import route_units
from engine.network.trace import trace
from engine.progress import Progress
from engine.registry import Parameter
from engine.route.layers import route_layers

ON = Parameter(
    "on", "Loss it is added to", "choice", "pat", choices=("pat", "vanilla"),
    help="pat: clean and attacked images in equal parts; vanilla: clean images alone.",
)  # fmt: skip
ROUTE_SHARE = Parameter(
    "route_share", "Images for the route", "float", 0.1, low=1e-6, high=1.0, unit="of the training images",
    help="Training images that are attacked once to find the units of the model's route.",
)  # fmt: skip


@dataclass(frozen=True)
class RouteMethod(AdversarialMethod):
    """A penalty on the critical attacking route of the parent (Li et al. 2020, section 5.1).

    The route is found once, on the parent, from 10 % of the training images, as in section 5.1.3; the penalised
    model is fine-tuned from the parent. PAT_g and PAT_w begin from a model that PAT hardened.
    """

    on: str = "pat"
    route_share: float = 0.1

    parameters: ClassVar[tuple[Parameter, ...]] = (ON, ROUTE_SHARE, *ATTACK_PARAMETERS)

    def require_parent(self, job: Job) -> None:
        """Refuses a start from random weights, whose units are not those of the parent's route."""
        if job.start == "scratch":
            raise InvalidInputError(
                "expected a start from the parent's weights: its route means nothing in a network of random weights. "
                "Start from the parent."
            )


class RouteObjective(PairedObjective):
    """PAT's loss, or the cross entropy alone, and a penalty on the units of the route."""

    def __init__(self, job: Job, method: RouteMethod) -> None:
        """Traces the model; the route is found by :meth:`prepare`."""
        super().__init__(job, method.attack())
        self.on_pat = method.on == "pat"
        self.network = trace(job.model, job.image_shape)
        self._share = method.route_share
        route_layers(self.network)  # says what is wrong before any attack is run

    @abstractmethod
    def use(self) -> None:
        """Takes note of the units of the route."""

    def prepare(self, progress: Progress, *, limit: int | None = None) -> None:
        """Finds the route."""
        count = self.preparation_images() if limit is None else min(limit, self.preparation_images())
        self.units = route_units(
            self.job.model, self.job.images, self.attack, n_images=count, seed=self.job.seed, progress=progress
        )
        self.use()

    def preparation_images(self) -> int:
        """Those that the route is made from."""
        return max(1, round(self._share * len(self.job.images)))

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """The route as it was."""
        super().restore(state)
        self.use()

    @property
    def base_weights(self) -> dict[str, float]:
        """What the terms of the loss without the penalty count."""
        return dict(HALVES) if self.on_pat else {"clean": 1.0}

    def base_terms(self, clean: Tensor, adversarial: Tensor | None, labels: Tensor) -> dict[str, Tensor]:
        """The terms of the loss without the penalty, from the logits of images and copies."""
        if adversarial is None:
            return {"clean": functional.cross_entropy(clean, labels)}
        return halves(clean, adversarial, labels)

    def logits(self, images: Tensor, labels: Tensor, where: str, progress: Progress) -> tuple[Tensor, Tensor | None]:
        """The logits of the images and, on PAT's loss, of their attacked copies."""
        if not self.on_pat:
            return self.forward(images), None
        return self.paired_logits(images, self.attacked(images, labels, where, progress))
