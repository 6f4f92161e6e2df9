"""Which attack a model is measured under, and on how many images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from engine.attacks.base import Attack
from engine.attacks.catalogue import attacks
from engine.errors import InvalidInputError
from engine.registry import Value

Family = Literal["clean", "white-box", "black-box", "noise", "yardstick"]

#: What the attack catalogue calls a family, and what a table does.
FAMILIES: Mapping[str, Family] = {
    "gradient": "white-box",
    "minimal": "white-box",
    "patch": "white-box",
    "black box": "black-box",
    "noise": "noise",
    "yardstick": "yardstick",
}


@dataclass(frozen=True, slots=True)
class AttackPlan:
    """One line of a robustness table.

    Attributes:
        label: what a person reads; unique in a table.
        attack: name in the attack catalogue; "" for no attack.
        settings: of the attack; those not given take their defaults.
        family: white-box attacks use gradients, black-box ones ask for answers alone, noise looks at nothing, and a
            yardstick is what others report.
        images: at most so many images, for an attack that is slow; None takes all of the table's.
    """

    label: str
    attack: str
    settings: Mapping[str, Value] = field(default_factory=dict)
    family: Family = "white-box"
    images: int | None = None

    @property
    def norm(self) -> str:
        """How the attack measures its change: "linf", "l2", "l0", or "none" for one that keeps to no ball."""
        if "norm" in self.settings:
            return str(self.settings["norm"])
        return str(attacks[self.attack].facts["norm"]) if self.attack in attacks else "none"

    @property
    def radius(self) -> float | None:
        """ε of an attack that keeps to a ball; None for one that searches the smallest change, and for noise."""
        if "epsilon" not in self.settings or self.settings.get("search"):
            return None
        return float(self.settings["epsilon"])

    def method(self) -> Attack:
        """The attack with its settings.

        Raises:
            UnknownNameError: for a name that is not in the catalogue.
            InvalidInputError: for a setting that is unknown or out of range.
        """
        return attacks[self.attack].create(**self.settings)

    def completed(self) -> AttackPlan:
        """The same plan with the defaults of the attack written out, so that two plans can be compared."""
        return replace(self, settings=self.method().settings) if self.attack else self


#: What every table begins with.
CLEAN = AttackPlan("Clean", "", family="clean")


def plan_of(attack: str, settings: Mapping[str, object] | None = None, images: int | None = None) -> AttackPlan:
    """A plan for an attack of the catalogue, with settings as a person gives them.

    Args:
        attack: name in the catalogue.
        settings: by name, as text or as values; those not given take their defaults.
        images: at most so many.
    """
    entry = attacks[attack]
    complete = entry.create(**(settings or {})).settings
    given = ", ".join(f"{name} {complete[name]}" for name in settings or {})
    label = f"{entry.label} ({given})" if given else entry.label
    return AttackPlan(label, attack, complete, FAMILIES[entry.facts["family"]], images)


def limited(plans: Sequence[AttackPlan], images: int) -> tuple[AttackPlan, ...]:
    """The plans, with another limit for those that have one: slow attacks on so many images at most.

    Raises:
        InvalidInputError: unless there is at least one image.
    """
    if images < 1:
        raise InvalidInputError(f"images: expected at least 1 for the slow attacks; got {images}.")
    return tuple(plan if plan.images is None else replace(plan, images=images) for plan in plans)
