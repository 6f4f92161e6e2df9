"""The kinds of job that study units: how sensitive they are, and along which route an attack travels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dashboard.services.classifiers import Classifiers, LoadedClassifier
from dashboard.services.jobs.job import JobContext
from dashboard.services.jobs.unit_settings import form_of
from engine.errors import InvalidInputError
from engine.locations import CACHE
from engine.network.classifiers import Classifier
from engine.progress import Progress
from engine.route.report import write_report as write_route
from engine.route.study import RouteSettings, run_route
from engine.sensitivity.report import write_report as write_sensitivity
from engine.sensitivity.study import SensitivitySettings, run_sensitivity

REPORT = "report.json"


def sensitivity(
    settings: Mapping[str, Any], folder: Path, progress: Progress, context: JobContext
) -> Mapping[str, Any]:
    """Studies the sensitivity of a model's units and writes :data:`REPORT`.

    Args:
        settings: as :func:`dashboard.services.jobs.unit_settings.checked` leaves them.
        folder: where the report goes.
        progress: told after every batch.
        context: attacked images are kept in the server's cache.

    Raises:
        EngineError: if a classifier cannot be used or has other weights.
    """
    models = Classifiers(context.server)
    loaded = _prepared(models, settings, context)
    form = form_of(settings)
    keys = [key for key in str(settings.get("others_weights", "")).split(",") if key]
    others = [_same(models, name, key) for name, key in zip(form.others, keys, strict=True)]
    asked = SensitivitySettings(
        attack=settings["attack"], attack_settings=settings["attack_settings"], n_images=form.pairs,
        activated=form.where == "after", share=form.top, seed=settings["seed"],
    )  # fmt: skip
    found = run_sensitivity(
        loaded.classifier, loaded.dataset, asked, others=others, folder=_attacks(context), progress=progress
    )
    write_sensitivity(folder / REPORT, found, loaded.classifier, others)
    return {
        "images": len(found.pairs),
        "misled": round(float(found.pairs.misled.mean()), 4),
        "mean ratio": {layer.name: round(layer.mean_ratio, 4) for layer in found.sensitivity.layers},
    }


def route(settings: Mapping[str, Any], folder: Path, progress: Progress, context: JobContext) -> Mapping[str, Any]:
    """Finds a model's critical attacking route, experiments on it and writes :data:`REPORT`; as :func:`sensitivity`."""
    loaded = _prepared(Classifiers(context.server), settings, context)
    form = form_of(settings)
    asked = RouteSettings(
        attack=settings["attack"], attack_settings=settings["attack_settings"], n_images=form.pairs,
        route_images=form.routed, share=form.instance, kept=form.kept, seed=settings["seed"],
    )  # fmt: skip
    found = run_route(loaded.classifier, loaded.dataset, asked, folder=_attacks(context), progress=progress)
    write_route(folder / REPORT, found, loaded.classifier)
    return {"images": len(found.pairs), "misled": round(float(found.pairs.misled.mean()), 4)}


def _attacks(context: JobContext) -> Path:
    return context.server.data_dir / CACHE / "attacks"


def _prepared(models: Classifiers, settings: Mapping[str, Any], context: JobContext) -> LoadedClassifier:
    torch.set_num_threads(context.threads)
    loaded = models.get(settings["model"])
    _same(models, settings["model"], settings["weights"])
    return loaded


def _same(models: Classifiers, name: str, key: str) -> Classifier:
    classifier = models.get(name).classifier
    if classifier.key != key:
        raise InvalidInputError(f"The model {classifier.label} has changed since this was asked for; ask for it anew.")
    classifier.require_sound()
    return classifier
