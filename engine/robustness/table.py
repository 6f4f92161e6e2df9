"""How often a model is right under each attack: the table, as plain values and as rows for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from engine.errors import InvalidInputError
from engine.plain import plain
from engine.robustness.intervals import wilson
from engine.robustness.plans import AttackPlan
from engine.version import VERSION

Flags = npt.NDArray[np.bool_]
Verdict = Literal["warning", "passed", "not checked"]
DIGITS = 9


@dataclass(frozen=True, slots=True)
class Check:
    """One look for gradient masking: whether attacks fail for another reason than that there is nothing to find.

    Attributes:
        name: identifier.
        label: what a person reads.
        verdict: "warning", "passed", or "not checked" where what it needs is not there.
        sentence: the finding for people, with its numbers.
        numbers: what was measured, by name.
        concerned: labels of the table's rows whose accuracies the warning puts in doubt.
    """

    name: str
    label: str
    verdict: Verdict
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    concerned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class AttackRow:
    """A model under one attack.

    Attributes:
        plan: the attack, its settings written out.
        correct: (n,) of the first n images, whether the model is right on the image and still right after the attack;
            an image that it gets wrong without the attack is wrong here too.
        l2, linf: mean size of the perturbations that succeeded; NaN if none did.
        survives_rounding: share of the successes that hold after rounding to 8 bits, in [0, 1]; NaN if there is none.
        seconds: that the attack took; NaN where its result was read from disk.
    """

    plan: AttackPlan
    correct: Flags
    l2: float
    linf: float
    survives_rounding: float
    seconds: float

    @property
    def n(self) -> int:
        """How many images were attacked."""
        return len(self.correct)

    @property
    def accuracy(self) -> float:
        """Share of all n images that are right after the attack, in [0, 1]."""
        return float(self.correct.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval (Wilson) of the accuracy."""
        return wilson(int(self.correct.sum()), self.n)


@dataclass(frozen=True, slots=True, eq=False)
class RobustnessTable:
    """A model under every attack of a plan, on the same images.

    Attributes:
        model: the classifier's name.
        label: what a person reads.
        model_key: hash of its weights and architecture.
        dataset: name of the data set.
        images_key: hash of the images and labels; tables of the same images have the same.
        n_images: how many images, the first of the test split; a slow attack's row may have fewer.
        seed: of the attacks.
        rows: the clean images first, then the attacks in the order of the plans.
        left_out: sentences about attacks that the table should hold and does not.
        checks: for gradient masking; empty where none were made.
    """

    model: str
    label: str
    model_key: str
    dataset: str
    images_key: str
    n_images: int
    seed: int
    rows: tuple[AttackRow, ...]
    left_out: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()

    def __getitem__(self, label: str) -> AttackRow:
        """The row of that label.

        Raises:
            InvalidInputError: if there is none; lists those that are.
        """
        for row in self.rows:
            if row.plan.label == label:
                return row
        known = ", ".join(row.plan.label for row in self.rows)
        raise InvalidInputError(f"attack: expected one of {known}; got {label[:60]!r}.")

    @property
    def clean(self) -> AttackRow:
        """The row without an attack."""
        return self.rows[0]

    def warnings_for(self, label: str) -> tuple[str, ...]:
        """The sentences that put the accuracy of a row in doubt."""
        return tuple(c.sentence for c in self.checks if c.verdict == "warning" and label in c.concerned)

    def summary(self) -> list[dict[str, Any]]:
        """One mapping of plain values a row, for people; a row under a warning is marked with "!"."""
        return [
            {
                "model": self.model, "attack": row.plan.label, "kind": row.plan.family, "images": row.n,
                "accuracy": row.accuracy, "low": row.interval[0], "high": row.interval[1],
                "mean l2": row.l2, "mean linf": row.linf, "survive rounding": row.survives_rounding,
                "seconds": row.seconds, "warning": "!" if self.warnings_for(row.plan.label) else "",
            }
            for row in self.rows
        ]  # fmt: skip

    def report(self) -> dict[str, Any]:
        """Everything in plain values, NaN as None; :func:`table_of` makes the table of it again."""
        values: dict[str, Any] = plain(
            {
                "version": VERSION,
                "model": self.model, "label": self.label, "model_key": self.model_key, "dataset": self.dataset,
                "images_key": self.images_key, "n_images": self.n_images, "seed": self.seed,
                "rows": [self._row_report(row) for row in self.rows],
                "left_out": self.left_out,
                "checks": [
                    {
                        "name": c.name, "label": c.label, "verdict": c.verdict, "sentence": c.sentence,
                        "numbers": c.numbers, "concerned": c.concerned,
                    }
                    for c in self.checks
                ],
            }
        )  # fmt: skip
        return values

    def _row_report(self, row: AttackRow) -> dict[str, Any]:
        low, high = row.interval
        return {
            "label": row.plan.label, "attack": row.plan.attack, "settings": row.plan.settings,
            "family": row.plan.family, "limit": row.plan.images, "images": row.n,
            "accuracy": row.accuracy, "low": low, "high": high,
            "l2": plain(row.l2, DIGITS), "linf": plain(row.linf, DIGITS),
            "survives_rounding": row.survives_rounding, "seconds": row.seconds,
            "correct": "".join("1" if right else "0" for right in row.correct),
            "warnings": self.warnings_for(row.plan.label),
        }  # fmt: skip


def table_of(report: Mapping[str, Any]) -> RobustnessTable:
    """The table of which :meth:`RobustnessTable.report` made these plain values.

    Raises:
        InvalidInputError: if they are not such a report.
    """
    try:
        return RobustnessTable(
            model=report["model"], label=report["label"], model_key=report["model_key"], dataset=report["dataset"],
            images_key=report["images_key"], n_images=report["n_images"], seed=report["seed"],
            rows=tuple(_row_of(row) for row in report["rows"]), left_out=tuple(report["left_out"]),
            checks=tuple(Check(**{**c, "concerned": tuple(c["concerned"])}) for c in report["checks"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInputError(
            f"expected the report of a robustness table; {error} is missing or of another kind. Evaluate again."
        ) from error


def _row_of(row: Mapping[str, Any]) -> AttackRow:
    return AttackRow(
        plan=AttackPlan(row["label"], row["attack"], dict(row["settings"]), row["family"], row["limit"]),
        correct=np.array([character == "1" for character in row["correct"]], dtype=np.bool_),
        l2=_number(row["l2"]),
        linf=_number(row["linf"]),
        survives_rounding=_number(row["survives_rounding"]),
        seconds=_number(row["seconds"]),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
