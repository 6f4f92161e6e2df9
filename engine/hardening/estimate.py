"""How long a hardening will take, measured on a few of its batches."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from engine.attacks.pgd_linf import PGDLinf
from engine.datasets.dataset import Dataset
from engine.hardening.crafting import craft
from engine.hardening.failures import explained
from engine.hardening.freezing import freezing, training_mode
from engine.hardening.hardening import prepared, require_fit, usual_settings
from engine.hardening.loop import Loop
from engine.hardening.methods.base import HardeningMethod, Objective
from engine.hardening.monitor import STEPS
from engine.hardening.reproducibility import reproducible
from engine.hardening.settings import TrainingSettings
from engine.network.classifiers import Classifier
from engine.progress import Progress, silent, span

BATCHES = 3
#: Images that a preparation is tried on.
TRIED = 64


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long a run will take.

    Attributes:
        epoch: seconds of an epoch, with what follows it.
        preparation: seconds before the first epoch.
        total: seconds of the whole run.
        batch: seconds of a batch.
        batches: of an epoch.
        epochs: of the run.
    """

    epoch: float
    preparation: float
    total: float
    batch: float
    batches: int
    epochs: int


def estimate_seconds(
    classifier: Classifier,
    data: Dataset,
    method: HardeningMethod,
    settings: TrainingSettings | None = None,
    *,
    threads: int = 1,
    device: str = "cpu",
    batches: int = BATCHES,
    progress: Progress = silent,
) -> Estimate:
    """Trains a copy for a few batches with a clock beside it; everything is left as it was.

    The measure is that of the machine as it is now: other work on it, now or later, makes a difference.

    Args:
        classifier, data, method, settings, threads, device: as for :func:`engine.hardening.hardening.harden`.
        batches: how many are measured, at least 1, after one that is not; the middle one counts.
        progress: may raise Cancelled.

    Raises:
        InvalidInputError: as :func:`engine.hardening.hardening.harden`.
        EngineError: if the batches fail; says why.
    """
    settings = usual_settings(classifier, data, method, device) if settings is None else settings
    require_fit(classifier, data, settings)
    with reproducible(0, threads):
        made = prepared(classifier, data, method, settings, seed=0, device=device)
        model, objective, loop = made.model, made.objective, made.loop
        with freezing(model, objective.frozen), explained(lambda: "estimate", lambda: "Nothing was trained."):
            preparation = _preparation(objective, span(progress, 0.0, 0.3))
            training_mode(model, objective.frozen)
            batch = _batch(loop, objective, settings, batches, span(progress, 0.3, 0.8))
            per_image = _attacked_image(objective, settings) if settings.held_out else 0.0
    progress(1.0, "estimated")
    between = _per_tried(preparation, objective) * objective.images_between_epochs()
    epoch = loop.batches * batch + per_image * min(settings.held_out, len(data.test)) + between
    whole = _per_tried(preparation, objective) * objective.preparation_images()
    return Estimate(epoch, whole, whole + settings.epochs * epoch, batch, loop.batches, settings.epochs)


def _preparation(objective: Objective, progress: Progress) -> float:
    begin = time.perf_counter()
    objective.prepare(progress, limit=TRIED)
    return time.perf_counter() - begin


def _per_tried(seconds: float, objective: Objective) -> float:
    return seconds / max(1, min(TRIED, objective.preparation_images()))


def _batch(loop: Loop, objective: Objective, settings: TrainingSettings, batches: int, progress: Progress) -> float:
    """The middle of the times of some batches; the first of all, which makes everything ready, is not counted."""
    rows = np.random.default_rng(0).permutation(len(objective.job.images))
    measured = []
    for number in range(batches + 1):
        chosen = np.resize(np.roll(rows, -number * settings.batch_size), min(settings.batch_size, len(rows)))
        begin = time.perf_counter()
        loop.step(chosen)
        measured.append(time.perf_counter() - begin)
        progress((number + 1) / (batches + 1), f"batch {number + 1} of {batches + 1}")
    return float(np.median(measured[1:]))


def _attacked_image(objective: Objective, settings: TrainingSettings) -> float:
    """Seconds that one held-out image takes: the attack's steps and two looks."""
    job = objective.job
    rows = np.arange(min(TRIED, len(job.images)))
    images, labels = job.images.images(rows).to(job.device), torch.as_tensor(job.images.labels[rows]).to(job.device)
    attack = PGDLinf(epsilon=settings.held_out_epsilon, steps=STEPS + 1)
    begin = time.perf_counter()
    craft(job.model, attack, images, labels, torch.Generator().manual_seed(0), bfloat16=job.bfloat16, where="estimate")
    return (time.perf_counter() - begin) / len(rows)
