"""A classifier's robustness table with its curve and its checks for gradient masking, in one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.datasets.dataset import Dataset
from engine.network.classifiers import Classifier
from engine.progress import Progress, silent, span
from engine.robustness.curve import RobustnessCurve, accuracy_curve
from engine.robustness.evaluation import evaluate
from engine.robustness.masking import with_checks
from engine.robustness.plans import AttackPlan
from engine.robustness.presets import Preset, preset_for
from engine.robustness.probes import probe
from engine.robustness.table import RobustnessTable

#: So many images suffice for the checks; the curve is drawn from more where that is asked for.
CHECKED_IMAGES = 200


@dataclass(frozen=True, slots=True, eq=False)
class RobustnessStudy:
    """What is known of a classifier's robustness.

    Attributes:
        table: every attack, with the checks and their warnings.
        curve: accuracy under PGD L∞ against its strength.
    """

    table: RobustnessTable
    curve: RobustnessCurve

    def report(self) -> dict[str, Any]:
        """Everything in plain values, NaN as None."""
        return {"table": self.table.report(), "curve": self.curve.report()}


def robustness_study(
    classifier: Classifier,
    data: Dataset,
    chosen: Preset | None = None,
    *,
    plans: Sequence[AttackPlan] | None = None,
    n_images: int = 1000,
    curve_images: int = CHECKED_IMAGES,
    seed: int = 0,
    folder: Path | None = None,
    progress: Progress = silent,
) -> RobustnessStudy:
    """Evaluates the classifier, measures its curve and looks for gradient masking.

    Args:
        classifier: left as it was, also when this raises.
        data: whose test split is used.
        chosen: the attacks and the curve's radii; the one for the data set if None.
        plans: attacks instead of the preset's.
        n_images: how many images go into the table.
        curve_images: how many at most into the curve and the checks; the first of the same.
        seed, folder, progress: see :func:`engine.robustness.evaluation.evaluate`.

    Raises:
        InvalidInputError, EngineError: as evaluating does.
    """
    chosen = preset_for(data) if chosen is None else chosen
    left_out = chosen.left_out if plans is None else ()
    table = evaluate(
        classifier, data, chosen.plans if plans is None else plans, n_images=n_images, seed=seed, folder=folder,
        left_out=left_out, progress=span(progress, 0.0, 0.8),
    )  # fmt: skip
    few = min(n_images, curve_images)
    curve = accuracy_curve(
        classifier, data, chosen.epsilons, n_images=few, seed=seed, folder=folder, progress=span(progress, 0.8, 0.9)
    )
    probes = probe(
        classifier, data, curve.epsilons[1:], n_images=few, seed=seed, folder=folder, progress=span(progress, 0.9, 1.0)
    )
    return RobustnessStudy(with_checks(table, curve, probes), curve)
