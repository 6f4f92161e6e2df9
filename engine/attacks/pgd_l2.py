"""PGD in the L2 ball."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.attacks.balls import Ball, L2Ball
from engine.attacks.bounded import L2_EPSILON, LOSS, SEARCH, search_steps
from engine.attacks.iterative import RANDOM_START, RandomStartAttack, relative_step_parameter, steps_parameter
from engine.registry import Parameter


@dataclass(frozen=True)
class PGDL2(RandomStartAttack):
    """Projected gradient descent with steps along the normalised gradient, Madry et al. 2018, section 2.1 for L2.

    By default 40 steps of ε/16 (2.5 radii in all), without restarts. A search tries 200 radii up to 20.
    """

    name: ClassVar[str] = "pgd_l2"
    ball: ClassVar[Ball] = L2Ball()
    largest_epsilon: ClassVar[float] = 20.0
    parameters: ClassVar[tuple[Parameter, ...]] = (
        L2_EPSILON,
        steps_parameter(40),
        relative_step_parameter(0.0625),
        RANDOM_START,
        LOSS,
        SEARCH,
        search_steps(200),
    )

    epsilon: float = 1.5
    search_steps: int = 200
    steps: int = 40
    relative_step: float = 0.0625
