"""Accuracy against the strength of an attack (Zhang et al. 2020, figure 15)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.attacks.catalogue import attacks
from engine.datasets.dataset import Dataset
from engine.errors import InvalidInputError
from engine.network.classifiers import Classifier
from engine.plain import plain
from engine.progress import Progress, silent
from engine.registry import Value
from engine.robustness.evaluation import evaluate
from engine.robustness.plans import FAMILIES, AttackPlan
from engine.robustness.presets import ROOT_STEP
from engine.robustness.table import AttackRow, RobustnessTable

#: PGD as the papers run it.
PGD_SETTINGS: Mapping[str, Value] = {"steps": 10, "relative_step": ROOT_STEP}


@dataclass(frozen=True, slots=True, eq=False)
class RobustnessCurve:
    """One attack at growing strengths, on the same images.

    The accuracies are as measured. A perfect attack could only do better within a larger radius; a real one takes
    larger steps there and may do worse, so that the curve may rise. By more than chance it should not: see
    :mod:`engine.robustness.masking`.

    Attributes:
        attack: name of the attack.
        epsilons: (P,) radii, ascending from 0, of full scale for L∞, Euclidean for L2.
        table: the clean images, which are the point ε = 0, and a row for each further radius.
    """

    attack: str
    epsilons: tuple[float, ...]
    table: RobustnessTable

    @property
    def points(self) -> tuple[AttackRow, ...]:
        """(P,) the rows, in the order of the radii."""
        return self.table.rows

    def summary(self) -> list[dict[str, Any]]:
        """One mapping of plain values a radius."""
        return [
            {
                "model": self.table.model, "attack": self.attack, "epsilon": epsilon, "images": row.n,
                "accuracy": row.accuracy, "low": row.interval[0], "high": row.interval[1],
            }
            for epsilon, row in zip(self.epsilons, self.points, strict=True)
        ]  # fmt: skip

    def report(self) -> dict[str, Any]:
        """Everything in plain values, NaN as None."""
        values: dict[str, Any] = plain({"attack": self.attack, "epsilons": self.epsilons, "table": self.table.report()})
        return values


def accuracy_curve(
    classifier: Classifier,
    data: Dataset,
    epsilons: Sequence[float],
    *,
    attack: str = "pgd_linf",
    settings: Mapping[str, Value] | None = None,
    n_images: int = 1000,
    seed: int = 0,
    folder: Path | None = None,
    progress: Progress = silent,
) -> RobustnessCurve:
    """Measures the accuracy on the first test images at every radius.

    Args:
        classifier: left as it was.
        data: whose test split is used.
        epsilons: radii; 0 is always measured, as the clean accuracy.
        attack: name of one with a radius.
        settings: of the attack, apart from its radius; 10 steps of ε/√10 for PGD if None, else the attack's defaults.
        n_images, seed, folder, progress: see :func:`engine.robustness.evaluation.evaluate`.

    Raises:
        InvalidInputError: for an attack without a radius, a radius out of range, and what evaluating raises.
    """
    entry = attacks[attack]
    if all(parameter.name != "epsilon" for parameter in entry.parameters):
        raise InvalidInputError(f"attack: expected one with a strength ε; {attack} has none. Take pgd_linf.")
    if not epsilons or any(not radius >= 0 for radius in epsilons):
        raise InvalidInputError(f"epsilons: expected numbers of at least 0; got {list(epsilons)!r}.")
    if settings is None:
        settings = PGD_SETTINGS if attack.startswith("pgd_") else {}
    if "epsilon" in settings or settings.get("search"):
        raise InvalidInputError("settings: expected none for the strength, which the curve varies; leave it out.")
    radii = sorted({float(radius) for radius in epsilons} - {0.0})
    family = FAMILIES[entry.facts["family"]]
    plans = [AttackPlan(f"{entry.label} {r:.6g}", attack, {**settings, "epsilon": r}, family) for r in radii]
    table = evaluate(classifier, data, plans, n_images=n_images, seed=seed, folder=folder, progress=progress)
    return RobustnessCurve(attack, (0.0, *radii), table)
