"""A route study as plain JSON: what pages, reports and other programs read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.files import write_atomically
from engine.network.classifiers import Classifier
from engine.plain import plain
from engine.route.contrast import LayerContrast
from engine.route.outcomes import Compared, TransplantOutcome
from engine.route.study import RouteStudy
from engine.version import VERSION

DIGITS = 9


def report_of(study: RouteStudy, classifier: Classifier) -> dict[str, Any]:
    """Everything that was measured, in plain values; NaN is null.

    Args:
        study: the outcome.
        classifier: whose route it is.
    """
    pairs = study.pairs
    values: dict[str, Any] = plain(
        {
            "version": VERSION,
            "model": classifier.name, "label": classifier.label, "key": classifier.key, "classes": classifier.classes,
            "settings": asdict(study.settings),
            "attack": pairs.attack, "attack_settings": dict(pairs.settings),
            "route_images": study.route.n_images, "pairs": len(pairs), "misled": pairs.misled.mean(),
            "indices": pairs.indices,
            "layers": _layers(study),
            "contrast": [
                {"layer": sensitivity.layer, "sensitivity": _contrast(sensitivity), "gradient": _contrast(gradient)}
                for sensitivity, gradient in zip(study.sensitivity_contrast, study.gradient_contrast, strict=True)
            ],
            "transplant": {
                "single": [{"layer": one.layers[0], **_transplant(one)} for one in study.transplant.single],
                "cumulative": [{"layers": one.layers, **_transplant(one)} for one in study.transplant.cumulative],
                "misled": study.transplant.misled,
            },
            "deactivation": _deactivation(study),
            "weakening": _weakening(study),
            "hardness": {
                "votes": study.hardness.votes, "order": study.hardness.order,
                "fgsm": {
                    "groups": study.survival.groups, "counts": study.survival.counts, "epsilon": study.fgsm_epsilon,
                },
            },
            "seconds": dict(study.seconds),
        },
        DIGITS,
    )  # fmt: skip
    return values


def write_report(file: Path, study: RouteStudy, classifier: Classifier) -> None:
    """Writes :func:`report_of` as JSON, whole or not at all."""
    text = json.dumps(report_of(study, classifier), ensure_ascii=False, allow_nan=False)
    write_atomically(file, lambda partial: partial.write_text(text, encoding="utf-8"))


def _layers(study: RouteStudy) -> Sequence[Mapping[str, Any]]:
    return [
        {
            "name": layer.name, "units": layer.units, "shape": layer.shape, "occurrence": layer.occurrence,
            "mean_occurrence": layer.mean_occurrence, "chosen": layer.chosen,
            "gradient": study.gradients[layer.name], "sensitivity": study.sensitivity[layer.name],
        }
        for layer in study.route.layers
    ]  # fmt: skip


def _contrast(found: LayerContrast) -> Mapping[str, float]:
    return {"on": found.on, "off": found.off, "ratio": found.ratio, "p": found.p}


def _compared(found: Compared) -> Mapping[str, Any]:
    return {"route": found.route, "control": found.control}


def _transplant(found: TransplantOutcome) -> Mapping[str, Any]:
    return {**_compared(found.repaired), "units": found.units, "control_units": found.control_units}


def _deactivation(study: RouteStudy) -> Sequence[Mapping[str, Any]]:
    return [
        {
            "layer": one.layer, "units": one.units, "control_units": one.control_units,
            "clean": _compared(one.clean), "adversarial": _compared(one.adversarial),
        }
        for one in study.deactivation
    ]  # fmt: skip


def _weakening(study: RouteStudy) -> Sequence[Mapping[str, Any]]:
    return [
        {
            "layers": one.layers, "betas": one.betas, "weights": one.weights, "control_weights": one.control_weights,
            "clean": _compared(one.clean), "adversarial": _compared(one.adversarial),
        }
        for one in study.weakening
    ]  # fmt: skip
