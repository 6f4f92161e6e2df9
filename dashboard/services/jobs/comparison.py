"""The kind of job that compares models: how robust they are, and what differs inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from dashboard.services.classifiers import Classifiers
from dashboard.services.jobs.comparison_settings import keys_of
from dashboard.services.jobs.hardening import same_model
from dashboard.services.jobs.hardening_files import REPORT, write_json
from dashboard.services.jobs.job import JobContext
from engine.datasets.dataset import Dataset
from engine.errors import Cancelled, InvalidInputError
from engine.hardening.effects import Effects, inner_effects
from engine.locations import CACHE
from engine.network.classifiers import Classifier
from engine.progress import Progress, span
from engine.robustness.comparison import compare_tables
from engine.robustness.evaluation import evaluate
from engine.robustness.plans import AttackPlan
from engine.robustness.presets import Preset, preset_for
from engine.robustness.study import CHECKED_IMAGES, robustness_study
from engine.version import VERSION

#: An attack that would take longer is left out.
LONGEST_S = 120.0
#: After so long, what an attack has done tells how long it will take.
TELLING_S = 8.0
#: Training images for the class paths: so many a class, and at most so many in all.
PATH_IMAGES_A_CLASS, PATH_IMAGES = 30, 1000


def run(settings: Mapping[str, Any], folder: Path, progress: Progress, context: JobContext) -> Mapping[str, Any]:
    """Compares a model with others and writes :data:`REPORT`.

    Args:
        settings: as :func:`dashboard.services.jobs.comparison_settings.check` leaves them.
        folder: where the report goes.
        progress: told after every batch.
        context: attacked images are kept in the server's cache, so that a stopped comparison goes on.

    Raises:
        EngineError: if a classifier cannot be used, or has other weights by now.
    """
    torch.set_num_threads(context.threads)
    models = Classifiers(context.server)
    loaded = [same_model(models, name, key) for name, key in keys_of(settings).items()]
    classifiers, data = [each.classifier for each in loaded], loaded[0].dataset
    images, seed, cache = int(settings["judged"]), int(settings["seed"]), context.server.data_dir / CACHE / "attacks"
    # The largest takes longest: what it can do in time, all can.
    largest = max(classifiers, key=lambda each: sum(parameter.numel() for parameter in each.module.parameters()))
    chosen = affordable(largest, data, images, seed, cache, span(progress, 0.0, 0.3))
    studies = []
    for number, classifier in enumerate(classifiers):
        begin, end = (0.3 + 0.5 * step / len(classifiers) for step in (number, number + 1))
        studies.append(
            robustness_study(
                classifier, data, chosen, n_images=images, curve_images=min(images, CHECKED_IMAGES), seed=seed,
                folder=cache, progress=span(progress, begin, end),
            )
        )  # fmt: skip
    tables = [study.table for study in studies]
    effects, reason = _effects(classifiers, data, images, seed, cache, span(progress, 0.8, 1.0))
    values = {
        "version": VERSION, "models": [_about(classifier) for classifier in classifiers], "images": tables[0].n_images,
        "seed": seed, "studies": [study.report() for study in studies],
        "comparison": compare_tables(tables).report() if len(tables) > 1 else None, "left_out": list(chosen.left_out),
        "effects": None if effects is None else effects.report(), "no_effects": reason,
    }  # fmt: skip
    write_json(folder / REPORT, values)
    return {"images": tables[0].n_images, "clean accuracy": {t.label: round(t.clean.accuracy, 4) for t in tables}}


def affordable(
    classifier: Classifier, data: Dataset, n_images: int, seed: int, folder: Path, progress: Progress
) -> Preset:
    """The attacks of the data set's preset, without those that take too long for so many images; names these.

    Each is begun, and what it finishes is kept in ``folder``: nothing is done twice. How long an attack will take is
    judged by how far it has come; one that drops the images it has broken may be judged too slow by a little.

    Args:
        classifier: that they are tried on.
        data: whose test images are attacked.
        n_images, seed: of the comparison.
        folder: where attacked images are kept.
        progress: may raise Cancelled.
    """
    chosen = preset_for(data)
    kept: list[AttackPlan] = []
    left_out = list(chosen.left_out)
    for number, plan in enumerate(chosen.plans):
        watched = _Watched(span(progress, number / len(chosen.plans), (number + 1) / len(chosen.plans)))
        try:
            evaluate(classifier, data, [plan], n_images=n_images, seed=seed, folder=folder, progress=watched)
            kept.append(plan)
        except _TooSlowError as error:
            images = min(n_images, plan.images or n_images)
            left_out.append(f"{plan.label}: it would take {error.minutes} for {images:,} images; compare fewer.")
    return replace(chosen, plans=tuple(kept), left_out=tuple(left_out))


class _TooSlowError(Cancelled):
    def __init__(self, seconds: float) -> None:
        super().__init__("This attack takes too long.")
        whole = round(seconds / 60)
        self.minutes = f"about {whole:,} minutes" if seconds < 24 * 3600 else "more than a day"


class _Watched:
    """A progress callback that stops work which will take too long."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._begin = monotonic()

    def __call__(self, fraction: float, message: str) -> None:
        self._progress(fraction, message)
        spent = monotonic() - self._begin
        if spent < TELLING_S or fraction >= 1:
            return
        expected = spent / fraction if fraction > 0 else 0.0
        if max(spent, expected) > LONGEST_S:
            raise _TooSlowError(max(spent, expected, LONGEST_S))


def _effects(
    classifiers: Sequence[Classifier], data: Dataset, images: int, seed: int, folder: Path, progress: Progress
) -> tuple[Effects | None, str]:
    """What differs inside, or why that cannot be said."""
    path_images = min(PATH_IMAGES, PATH_IMAGES_A_CLASS * len(data.classes))
    try:
        effects = inner_effects(
            classifiers, data, n_images=min(images, CHECKED_IMAGES), path_images=path_images, seed=seed, folder=folder,
            progress=progress,
        )  # fmt: skip
    except InvalidInputError as error:  # a model that gets nothing right has a table all the same
        return None, str(error)
    return effects, ""


def _about(classifier: Classifier) -> dict[str, Any]:
    card = classifier.card
    return {
        "name": classifier.name, "label": classifier.label, "key": classifier.key,
        "parent": str(card.get("parent", "")), "method": str(card.get("method", "")),
    }  # fmt: skip
