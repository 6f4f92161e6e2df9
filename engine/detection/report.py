"""The outcome of a detection experiment as plain JSON: what pages, reports and other programs read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from engine.detection.joint_similarity import JointSimilarity
from engine.detection.metrics import Separation
from engine.detection.outcome import Detection
from engine.detection.sweeps import SweepPoint
from engine.files import write_atomically
from engine.network.classifiers import Classifier
from engine.plain import plain
from engine.version import VERSION

ROC_POINTS = 200
DIGITS = 9
Sweeps = Mapping[str, Mapping[str, Sequence[SweepPoint]]]


def report(found: Detection, classifier: Classifier, sweeps: Sweeps | None = None) -> dict[str, Any]:
    """Everything that was measured, in plain values; NaN is null.

    Args:
        found: the outcome.
        classifier: whose paths were looked at.
        sweeps: by kind and detector, the points of the sweeps that were run too.
    """
    methods = {
        name: {
            "curves": {attack: _curve(one) for attack, one in evaluation.separations.items()},
            "normal": {"scores": evaluation.normal_scores, "sources": evaluation.normal_sources},
            "attacked": {
                attack: {"scores": scores, "sources": evaluation.sources[attack]}
                for attack, scores in evaluation.scores.items()
            },
            "coefficients": _coefficients(evaluation.detector, found.features.names),
            "threshold": evaluation.threshold,
            "adaptive": asdict(found.adaptive[name]),
            "trained on": evaluation.trained_on,
            "train images": evaluation.train_sources,
        }
        for name, evaluation in found.evaluations.items()
    }
    values: dict[str, Any] = plain(
        {
            "version": VERSION,
            "model": {"name": classifier.name, "label": classifier.label, "key": classifier.key},
            "theta": found.theta,
            "settings": asdict(found.settings),
            "attacks": found.attack_table(),
            "table": found.table(),
            "adaptive": found.adaptive_table(),
            "contrast": found.contrast_table(),
            "seconds": dict(found.seconds),
            "images looked at": found.images_looked_at,
            "methods": methods,
            "sweeps": {
                kind: {name: [asdict(point) for point in points] for name, points in by_detector.items()}
                for kind, by_detector in (sweeps or {}).items()
            },
        },
        DIGITS,
    )
    return values


def write_report(file: Path, found: Detection, classifier: Classifier, sweeps: Sweeps | None = None) -> None:
    """Writes :func:`report` as JSON, whole or not at all."""
    text = json.dumps(report(found, classifier, sweeps), ensure_ascii=False, allow_nan=False)
    write_atomically(file, lambda partial: partial.write_text(text, encoding="utf-8"))


def _curve(found: Separation) -> dict[str, Any]:
    """The ROC curve in at most :data:`ROC_POINTS` points, its ends among them."""
    count = len(found.false_positive_rates)
    chosen = np.unique(np.linspace(0, count - 1, min(count, ROC_POINTS)).round().astype(int))
    return {
        "fpr": found.false_positive_rates[chosen],
        "tpr": found.true_positive_rates[chosen],
        "auc": found.auc,
        "low": found.auc_low,
        "high": found.auc_high,
    }


def _coefficients(detector: Any, names: tuple[str, ...]) -> dict[str, Any] | None:
    if not isinstance(detector, JointSimilarity) or len(detector.coef_) != len(names):
        return None
    return {"names": names, "values": detector.coef_, "threshold": detector.threshold_}
