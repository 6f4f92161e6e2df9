"""BIM: the basic iterative method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from engine.attacks.balls import Ball, LinfBall
from engine.attacks.bounded import LINF_EPSILON, LOSS, SEARCH, search_steps
from engine.attacks.iterative import IterativeAttack, relative_step_parameter, steps_parameter
from engine.registry import Parameter


@dataclass(frozen=True)
class BIM(IterativeAttack):
    """Small FGSM steps from the image itself, Kurakin et al. 2017, section 2.2.

    Deviation: the paper takes α = 1/255 and min(255ε + 4, 1.25·255ε) steps; here α = ε/10 and 10 steps, the setting of
    Qiu et al. 2019.
    """

    name: ClassVar[str] = "bim"
    ball: ClassVar[Ball] = LinfBall()
    parameters: ClassVar[tuple[Parameter, ...]] = (
        LINF_EPSILON,
        steps_parameter(10),
        relative_step_parameter(0.1),
        LOSS,
        SEARCH,
        search_steps(100),
    )
