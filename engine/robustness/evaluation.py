"""Attacks a classifier by every plan, on the same images, and counts what is still right."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from engine.attacks.base import Attack, AttackResult
from engine.attacks.results import attack_once
from engine.datasets.dataset import Dataset, content_key
from engine.errors import InvalidInputError
from engine.network.classifiers import Classifier
from engine.progress import Progress, silent, span
from engine.robustness.plans import CLEAN, AttackPlan
from engine.robustness.prediction import Answers, answers
from engine.robustness.table import AttackRow, RobustnessTable

#: Share of the progress that the clean images take.
CLEAN_SHARE = 0.02


def evaluate(
    classifier: Classifier,
    data: Dataset,
    plans: Sequence[AttackPlan],
    *,
    n_images: int = 1000,
    seed: int = 0,
    folder: Path | None = None,
    left_out: Sequence[str] = (),
    progress: Progress = silent,
) -> RobustnessTable:
    """Measures the accuracy on the first test images, clean and under every attack.

    All images go into every attack, those too that the model gets wrong, so that an image meets the same noise and the
    same random start in every model: that is what paired comparisons rest on. An attack that is limited to fewer images
    takes the first of them. An image with logits that are not finite counts as wrong and is not attacked.

    Args:
        classifier: left as it was, also when this raises.
        data: whose test split is used.
        plans: the attacks; the clean images need no plan.
        n_images: how many images; fewer if the split has not so many.
        seed: of every attack.
        folder: where results of attacks are kept, so that the next evaluation finds them; None keeps nothing.
        left_out: sentences for the table about attacks that are not among the plans.
        progress: may raise Cancelled; attacks that are finished by then are kept.

    Raises:
        InvalidInputError: if the classifier is damaged or made for other images, two plans share a label, or a setting
            is wrong; before any work.
        EngineError: if a model's logits or gradients are not finite on attacked images.
    """
    methods = checked_methods(classifier, data, plans, n_images)
    images = first_images(data, n_images)
    found = answers(classifier.module, images.pixels, images.labels, progress=span(progress, 0.0, CLEAN_SHARE))
    rows = [AttackRow(CLEAN, found.right, math.nan, math.nan, math.nan, math.nan)]
    for number, (plan, method) in enumerate(zip(plans, methods, strict=True)):
        begin, end = (CLEAN_SHARE + (1 - CLEAN_SHARE) * step / len(plans) for step in (number, number + 1))
        attack = _Run(method, classifier, seed, folder, span(progress, begin, end))
        rows.append(_row(plan, attack, images, found))
    progress(1.0, "evaluated")
    return RobustnessTable(
        model=classifier.name, label=classifier.label, model_key=classifier.key, dataset=data.name,
        images_key=images.key, n_images=len(images.labels), seed=seed, rows=tuple(rows), left_out=tuple(left_out),
    )  # fmt: skip


def checked_methods(classifier: Classifier, data: Dataset, plans: Sequence[AttackPlan], n_images: int) -> list[Attack]:
    """The attacks of the plans, if all of it can work together.

    Raises:
        InvalidInputError: see :func:`evaluate`.
    """
    classifier.require_sound()
    if classifier.image_shape != data.image_shape or len(classifier.classes) != len(data.classes):
        raise InvalidInputError(
            f"{classifier.name}: expected images of shape {classifier.image_shape} in {len(classifier.classes)} "
            f"classes; {data.name} has {data.image_shape} in {len(data.classes)}. Take the data set it was made for."
        )
    if n_images < 1 or not len(data.test):
        raise InvalidInputError(f"images: expected at least one; got {n_images} of {len(data.test)}.")
    labels = [CLEAN.label, *(plan.label for plan in plans)]
    for label in labels:
        if labels.count(label) > 1:
            raise InvalidInputError(f"plans: expected a label of its own for each attack; got {label!r} twice.")
    if any(plan.images is not None and plan.images < 1 for plan in plans):
        raise InvalidInputError("plans: expected at least one image for each attack; got a limit below 1.")
    return [plan.method() for plan in plans]


@dataclass(frozen=True, slots=True, eq=False)
class FirstImages:
    """The first images of a test split.

    Attributes:
        pixels: (N, C, H, W) float32 in [0, 1].
        labels: (N,) their classes.
        key: hash of both, hexadecimal.
    """

    pixels: torch.Tensor
    labels: npt.NDArray[np.int64]
    key: str


def first_images(data: Dataset, n_images: int) -> FirstImages:
    """The first ``n_images`` of the test split, or all of it where it has not so many."""
    chosen = np.arange(min(n_images, len(data.test)))
    pixels, labels = data.test.images(chosen), data.test.labels[chosen]
    return FirstImages(pixels, labels, content_key(pixels.numpy(), labels))


@dataclass(frozen=True, slots=True)
class _Run:
    """One attack on one classifier, timed."""

    method: Attack
    classifier: Classifier
    seed: int
    folder: Path | None
    progress: Progress

    def __call__(self, pixels: torch.Tensor, labels: npt.NDArray[np.int64]) -> tuple[AttackResult, float]:
        """The result, and the seconds it took; NaN where it was read from disk."""
        has_run = False

        def report(fraction: float, message: str) -> None:
            nonlocal has_run
            has_run = True  # an attack always reports its start
            self.progress(fraction, message)

        begin = time.perf_counter()
        result = attack_once(
            self.method, self.classifier.module, pixels, labels, folder=self.folder, seed=self.seed, progress=report
        )
        return result, time.perf_counter() - begin if has_run else math.nan


AttackAll = Callable[[torch.Tensor, npt.NDArray[np.int64]], tuple[AttackResult, float]]


def _row(plan: AttackPlan, attack: AttackAll, images: FirstImages, clean: Answers) -> AttackRow:
    n = len(images.labels) if plan.images is None else min(plan.images, len(images.labels))
    attacked = np.flatnonzero(clean.finite[:n])
    correct = np.zeros(n, dtype=np.bool_)
    if not len(attacked):
        return AttackRow(plan.completed(), correct, math.nan, math.nan, math.nan, math.nan)
    result, seconds = attack(images.pixels[torch.from_numpy(attacked)], images.labels[attacked])
    correct[attacked] = clean.right[attacked] & result.scored & ~result.success
    won = result.success
    return AttackRow(
        plan=plan.completed(),
        correct=correct,
        l2=float(result.l2[won].mean()) if won.any() else math.nan,
        linf=float(result.linf[won].mean()) if won.any() else math.nan,
        survives_rounding=float(result.survives_rounding[won].mean()) if won.any() else math.nan,
        seconds=seconds,
    )
