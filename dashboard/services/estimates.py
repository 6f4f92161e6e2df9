"""How long a hardening will take, measured before it is started."""

from __future__ import annotations

import threading
from dataclasses import replace

from dashboard.selection import Selection
from dashboard.services.classifiers import Classifiers
from dashboard.services.computations import Computations
from dashboard.services.jobs.hardening_settings import hardening_settings, training_of
from engine.hardening.catalogue import hardening_methods
from engine.hardening.estimate import BATCHES, Estimate, estimate_seconds
from engine.hardening.monitor import STEPS
from engine.hardening.settings import TrainingSettings
from engine.hardening.state import identity
from engine.network.classifiers import Classifier
from engine.progress import Progress

#: A model of more weights is tried on batches of few images: on whole ones the trial itself would take long.
LARGE = 500_000
FEW_IMAGES = 8


class Estimates:
    """Trains copies of models for a few batches, with a clock beside it."""

    def __init__(self, classifiers: Classifiers, computations: Computations) -> None:
        """Uses the given classifiers and computations."""
        self._classifiers = classifiers
        self._computations = computations
        # One at a time: they would slow each other, and set the number of torch's threads under each other's feet.
        self._alone = threading.Lock()

    def estimate(self, selection: Selection) -> Estimate:
        """How long the hardening that the selection asks for will take on this machine, with one thread.

        Raises:
            Pending: while it is measured.
            EngineError: if the model cannot be hardened so; says why, before any job is started.
        """
        loaded = self._classifiers.get(selection.model)
        loaded.classifier.require_sound()
        settings = hardening_settings(selection.model, loaded, selection.harden_form, 0)

        def compute(progress: Progress) -> Estimate:
            method = hardening_methods[settings["way"]].create(**settings["way_settings"])
            asked = training_of(settings, loaded)
            # Not the module that pages are using just now: a fresh one.
            classifier = self._classifiers.registry()[selection.model].create()
            tried = _tried(asked, classifier)
            with self._alone:
                found = estimate_seconds(
                    classifier, loaded.dataset, method, tried, threads=1, batches=BATCHES, progress=progress
                )
            attacks = any(parameter.name == "steps" for parameter in method.parameters)
            return found if tried == asked else scaled(found, tried, asked, int(settings["trained"]), attacks=attacks)

        return self._computations.get(("estimate", identity(settings), loaded.dataset.key), compute)


def scaled(
    found: Estimate, tried: TrainingSettings, asked: TrainingSettings, images: int, *, attacks: bool
) -> Estimate:
    """What batches of few images say of whole ones: an image takes as long in both, which is a little too long.

    Args:
        found: measured with small batches and without held-out images.
        tried: what was measured.
        asked: what will be done.
        images: how many are trained on.
        attacks: whether training attacks every image; if so, a held-out image takes about as long as one of these.
    """
    image = found.batch / tried.batch_size
    between = found.epoch - found.batches * found.batch
    batches = -(-images // asked.batch_size)
    held_out = asked.held_out * image * (1 if attacks else STEPS)
    epoch = images * image + held_out + between
    total = found.preparation + asked.epochs * epoch
    return Estimate(epoch, found.preparation, total, min(asked.batch_size, images) * image, batches, asked.epochs)


def _tried(asked: TrainingSettings, classifier: Classifier) -> TrainingSettings:
    weights = sum(parameter.numel() for parameter in classifier.module.parameters())
    if weights <= LARGE or asked.batch_size <= FEW_IMAGES:
        return asked
    return replace(asked, batch_size=FEW_IMAGES, held_out=0)
