"""A sensitivity study as plain JSON: what pages, reports and other programs read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.files import write_atomically
from engine.network.classifiers import Classifier
from engine.plain import plain
from engine.sensitivity.strength import StrengthCurve
from engine.sensitivity.study import ImportanceStudy, SensitivityStudy
from engine.sensitivity.suppression import Suppression
from engine.version import VERSION

DIGITS = 9


def report_of(study: SensitivityStudy, classifier: Classifier, others: Sequence[Classifier] = ()) -> dict[str, Any]:
    """Everything that was measured, in plain values; NaN is null.

    Args:
        study: the outcome.
        classifier: whose units were looked at.
        others: those it was compared with, for their labels.
    """
    pairs, labels = study.pairs, {other.name: other.label for other in others}
    values: dict[str, Any] = plain(
        {
            "version": VERSION,
            "model": classifier.name, "label": classifier.label, "key": classifier.key, "classes": classifier.classes,
            "settings": asdict(study.settings),
            "attack": pairs.attack, "attack_settings": dict(pairs.settings),
            "pairs": len(pairs), "misled": pairs.misled.mean(), "indices": pairs.indices,
            "layers": [
                {
                    "name": layer.name, "units": layer.units, "sensitivity": layer.values, "ratio": layer.ratios,
                    "left_out": layer.left_out, "mean_ratio": layer.mean_ratio,
                }
                for layer in study.sensitivity.layers
            ],
            "importance": None if study.penultimate is None else _importance(study.penultimate),
            "reason": study.reason,
            "agreement": [
                {"layer": one.name, "k": one.k, "levenshtein": one.levenshtein, "jaccard": one.jaccard,
                 "classes": one.classes}
                for one in study.agreement
            ],
            "suppression": [_suppression(one) for one in study.suppression],
            "strength": None if study.strength is None else _strength(study.strength),
            "models": [
                {
                    "name": name, "label": labels.get(name, name), "misled": study.comparison.misled[name],
                    "layers": [
                        {"name": layer.name, "sensitivity": layer.values, "mean_ratio": layer.mean_ratio}
                        for layer in found.layers
                    ],
                }
                for name, found in study.comparison.models.items()
            ],
            "seconds": dict(study.seconds),
        },
        DIGITS,
    )  # fmt: skip
    return values


def write_report(
    file: Path, study: SensitivityStudy, classifier: Classifier, others: Sequence[Classifier] = ()
) -> None:
    """Writes :func:`report_of` as JSON, whole or not at all."""
    text = json.dumps(report_of(study, classifier, others), ensure_ascii=False, allow_nan=False)
    write_atomically(file, lambda partial: partial.write_text(text, encoding="utf-8"))


def _importance(found: ImportanceStudy) -> dict[str, Any]:
    importance = found.importance
    return {
        "layer": importance.layer, "k": importance.k,
        "classes": [
            {
                "class": one.label, "images": importance.images[one.label],
                "importance": importance.mean[one.label], "votes": importance.votes[one.label],
                "sensitivity": found.sensitivity.by_class[one.label], "spearman": one.spearman,
                "spearman_mean": one.spearman_mean, "levenshtein": one.levenshtein,
            }
            for one in found.agreement
        ],
    }  # fmt: skip


def _suppression(found: Suppression) -> dict[str, Any]:
    return {
        "layer": found.layer, "betas": found.betas, "units": found.units, "disjoint": found.is_disjoint,
        "sensitive": {"clean": found.sensitive_clean, "adversarial": found.sensitive_adversarial},
        "control": {"clean": found.control_clean, "adversarial": found.control_adversarial},
    }  # fmt: skip


def _strength(found: StrengthCurve) -> dict[str, Any]:
    return {
        "strengths": found.strengths, "layers": found.layers, "ratio": found.ratios, "success": found.success,
    }  # fmt: skip
