"""PGD in the L∞ ball."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.attacks.balls import Ball, LinfBall
from engine.attacks.bounded import LINF_EPSILON, LOSS, SEARCH, search_steps
from engine.attacks.iterative import RANDOM_START, RandomStartAttack, relative_step_parameter, steps_parameter
from engine.registry import Parameter


@dataclass(frozen=True)
class PGDLinf(RandomStartAttack):
    """Projected gradient descent with sign steps, Madry et al. 2018, section 2.1.

    By default 40 steps of about ε/30, as the paper's MNIST attack (ε = 0.3, α = 0.01); without restarts.
    """

    name: ClassVar[str] = "pgd_linf"
    ball: ClassVar[Ball] = LinfBall()
    parameters: ClassVar[tuple[Parameter, ...]] = (
        LINF_EPSILON,
        steps_parameter(40),
        relative_step_parameter(0.033),
        RANDOM_START,
        LOSS,
        SEARCH,
        search_steps(100),
    )

    steps: int = 40
    relative_step: float = 0.033
