"""BIM: the basic iterative method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from engine.attacks.balls import Ball, LinfBall
from engine.attacks.bounded import LINF_EPSILON, LOSS, SEARCH, search_steps
from engine.attacks.inputs import Inputs
from engine.attacks.iterative import IterativeAttack, relative_step_parameter, steps_parameter
from engine.attacks.logits import Logits
from engine.attacks.search import bisected_epsilon
from engine.errors import InvalidInputError
from engine.progress import Progress
from engine.registry import Parameter, Value

EPSILON = replace(
    LINF_EPSILON,
    help="Largest change of any pixel value, where black is 0 and white is 1. When searching, it is where a bisection "
    "begins, and not used by a grid.",
)
SEARCH_KIND = Parameter(
    "search_kind",
    "Way of searching",
    "choice",
    "grid",
    choices=("grid", "bisection"),
    help="Grid: equally spaced strengths up to the largest. Bisection: from the strength set above up by half until it "
    "works, then halving the interval. Used only when searching.",
)

#: What Qiu et al. 2018 and 2019 ran: Foolbox 1.3.2's defaults, ε = 0.3 and α = 0.05 at the start, α/ε kept.
BIM_PRESETS: dict[str, dict[str, Value]] = {
    "authors": {
        "epsilon": 0.3,
        "steps": 10,
        "relative_step": 0.05 / 0.3,
        "search": True,
        "search_kind": "bisection",
        "search_steps": 20,
    }
}


@dataclass(frozen=True)
class BIM(IterativeAttack):
    """Small FGSM steps from the image itself, Kurakin et al. 2017, section 2.2.

    Deviation: the paper takes α = 1/255 and min(255ε + 4, 1.25·255ε) steps; here α = ε/10 and 10 steps, the setting of
    Qiu et al. 2019. A search runs on a grid, or bisects as Foolbox 1.3.2 does (``BIM_PRESETS``).
    """

    name: ClassVar[str] = "bim"
    ball: ClassVar[Ball] = LinfBall()
    parameters: ClassVar[tuple[Parameter, ...]] = (
        EPSILON,
        steps_parameter(10),
        relative_step_parameter(0.1),
        LOSS,
        SEARCH,
        SEARCH_KIND,
        search_steps(100),
    )

    search_kind: Literal["grid", "bisection"] = "grid"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.search and self.search_kind == "bisection" and self.epsilon == 0:
            raise InvalidInputError("epsilon: expected more than 0, where the bisection begins; got 0. Take 0.3.")

    def perturb_batch(
        self, model: Logits, batch: Inputs, scored: Tensor, generator: torch.Generator, progress: Progress
    ) -> tuple[Tensor, Tensor]:
        """The attacked copies and radii; the search by bisection is this class's own."""
        if not self.search or self.search_kind == "grid":
            return super().perturb_batch(model, batch, scored, generator, progress)
        prepared = self.prepare(model, batch.images, batch.labels, batch.targets, generator)

        def trial(epsilon: Tensor, rows: Tensor, report: Progress) -> Tensor:
            some = batch.chosen(rows)
            return self.perturb_within(epsilon, model, some.images, prepared[rows], some.labels, some.targets, report)

        return bisected_epsilon(
            trial, self.epsilon, self.largest_epsilon, self.search_steps, model, batch, scored, progress
        )
