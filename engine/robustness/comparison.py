"""Two or more models under the same attacks on the same images: what differs beyond chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.errors import InvalidInputError
from engine.plain import plain
from engine.robustness.intervals import Pairing, mcnemar, newcombe, paired
from engine.robustness.table import AttackRow, RobustnessTable

Outcome = Literal["better", "worse", "no difference shown"]
#: Two-sided chance below which a difference counts as shown.
SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """One model against the reference under one attack, image by image.

    Attributes:
        model, reference: names of the two.
        label: of the attack.
        pairing: how many images both, only the model, only the reference, or neither is right on.
    """

    model: str
    reference: str
    label: str
    pairing: Pairing

    @property
    def difference(self) -> float:
        """Accuracy of the model less that of the reference, from −1 to 1."""
        return self.pairing.difference

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval (Newcombe 1998, method 10, for paired shares)."""
        return newcombe(self.pairing)

    @property
    def p(self) -> float:
        """Exact two-sided p of McNemar's test."""
        return mcnemar(self.pairing)

    @property
    def outcome(self) -> Outcome:
        """Whether the model is better or worse than the reference, by p < 0.05 for this attack alone."""
        if self.p >= SIGNIFICANCE:
            return "no difference shown"
        return "better" if self.difference > 0 else "worse"


@dataclass(frozen=True, slots=True)
class RobustnessComparison:
    """Models against the first of them.

    Each verdict is for its own attack: where nothing differs, about one in twenty is expected by chance.

    Attributes:
        reference: name of the model that the others are compared with.
        differences: for each other model, in order, one for each row of the tables.
    """

    reference: str
    differences: tuple[PairedDifference, ...]

    def summary(self) -> list[dict[str, Any]]:
        """One mapping of plain values for each model and attack."""
        return [
            {
                "model": each.model, "against": each.reference, "attack": each.label, "images": each.pairing.total,
                "difference": each.difference, "low": each.interval[0], "high": each.interval[1],
                "only model right": each.pairing.only_first, "only reference right": each.pairing.only_second,
                "p": each.p, "outcome": each.outcome,
            }
            for each in self.differences
        ]  # fmt: skip

    def report(self) -> dict[str, Any]:
        """Everything in plain values."""
        values: dict[str, Any] = plain({"reference": self.reference, "differences": self.summary()})
        return values


def compare_tables(tables: Sequence[RobustnessTable]) -> RobustnessComparison:
    """Compares every table with the first, attack by attack, on the same images.

    Raises:
        InvalidInputError: for fewer than two tables, two of one model, or tables of other images, seeds, attacks or
            settings; names what differs.
    """
    if len(tables) < 2:
        raise InvalidInputError(f"expected two tables or more to compare; got {len(tables)}. Evaluate another model.")
    first, others = tables[0], tables[1:]
    names = [table.model for table in tables]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInputError(f"expected different models to compare; {name} is given twice.")
    found = []
    for other in others:
        _require_same(first, other)
        for mine, theirs in zip(other.rows, first.rows, strict=True):
            pairing = paired(mine.correct, theirs.correct)
            found.append(PairedDifference(other.model, first.model, mine.plan.label, pairing))
    return RobustnessComparison(first.model, tuple(found))


def _require_same(first: RobustnessTable, other: RobustnessTable) -> None:
    where = f"{first.model} and {other.model}"
    if first.images_key != other.images_key or first.n_images != other.n_images:
        raise InvalidInputError(
            f"{where}: expected tables of the same images; one has {first.n_images} of {first.dataset}, the other "
            f"{other.n_images} of {other.dataset}. Evaluate both on the same."
        )
    if first.seed != other.seed:
        raise InvalidInputError(f"{where}: expected attacks with one seed; got {first.seed} and {other.seed}.")
    labels, of_other = ([row.plan.label for row in table.rows] for table in (first, other))
    if labels != of_other:
        differing = sorted(set(labels) ^ set(of_other)) or ["their order"]
        raise InvalidInputError(f"{where}: expected tables of the same attacks; they differ in {differing[0]}.")
    for mine, theirs in zip(first.rows, other.rows, strict=True):
        if not _same_attack(mine, theirs):
            raise InvalidInputError(
                f"{where}: expected the same settings and as many images in both; {mine.plan.label} has others. "
                "Evaluate both by one plan."
            )


def _same_attack(mine: AttackRow, theirs: AttackRow) -> bool:
    return (mine.plan.attack, dict(mine.plan.settings), mine.n) == (
        theirs.plan.attack,
        dict(theirs.plan.settings),
        theirs.n,
    )
