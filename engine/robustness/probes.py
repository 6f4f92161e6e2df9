"""What the checks for gradient masking ask of a model beyond the attacks of its table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engine.attacks.base import batches_of, logits_of_batch
from engine.attacks.gradients import ascent_gradient
from engine.attacks.logits import device_of
from engine.datasets.dataset import Dataset
from engine.network.classifiers import Classifier
from engine.network.state import evaluating
from engine.progress import Progress, silent, span
from engine.robustness.evaluation import evaluate, first_images
from engine.robustness.plans import AttackPlan
from engine.robustness.prediction import answers
from engine.robustness.table import AttackRow

#: A radius within which every image can become plain grey, and enough steps to get there.
LARGE = AttackPlan("PGD L∞ 0.5, 40 steps", "pgd_linf", {"epsilon": 0.5, "steps": 40, "relative_step": 2.5 / 40})


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """Answers on the first n test images.

    Attributes:
        clean: without an attack.
        large: under PGD L∞ with :data:`LARGE`'s room.
        noise: (P,) under random signs of length ε, for each radius asked for.
        images_right: how many images are right without an attack.
        images_without_gradient: at how many of those the gradient of the cross entropy is zero in every element.
    """

    clean: AttackRow
    large: AttackRow
    noise: tuple[AttackRow, ...]
    images_right: int
    images_without_gradient: int


def probe(
    classifier: Classifier,
    data: Dataset,
    epsilons: Sequence[float],
    *,
    n_images: int = 200,
    seed: int = 0,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Probes:
    """Asks the classifier.

    Args:
        classifier: left as it was.
        data: whose test split is used.
        epsilons: (P,) radii of the noise, in [0, 1].
        n_images, seed, folder, progress: see :func:`engine.robustness.evaluation.evaluate`.

    Raises:
        InvalidInputError, EngineError: as evaluating does.
    """
    table = evaluate(
        classifier, data, [LARGE], n_images=n_images, seed=seed, folder=folder, progress=span(progress, 0.0, 0.8)
    )
    images = first_images(data, n_images)
    right = table.clean.correct
    zero = _without_gradient(classifier.module, images.pixels[torch.from_numpy(right)], images.labels[right])
    noise = []
    for number, epsilon in enumerate(epsilons):
        progress(0.85 + 0.15 * number / len(epsilons), f"noise {epsilon:.4g}")
        noisy = (images.pixels + epsilon * _signs(images.pixels, seed)).clamp(0.0, 1.0)
        correct = right & answers(classifier.module, noisy, images.labels).right
        plan = AttackPlan(f"Random signs {epsilon:.6g}", "", {"epsilon": float(epsilon)}, "noise")
        noise.append(AttackRow(plan, correct, math.nan, math.nan, math.nan, math.nan))
    progress(1.0, "probed")
    return Probes(table.clean, table.rows[1], tuple(noise), int(right.sum()), zero)


def _signs(pixels: Tensor, seed: int) -> Tensor:
    """Random signs (N, C, H, W), the same for every radius and model."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, pixels.shape, generator=generator) * 2.0 - 1.0


def _without_gradient(model: nn.Module, pixels: Tensor, labels: npt.NDArray[np.int64]) -> int:
    """At how many images (N, C, H, W) the gradient of the cross entropy is exactly zero."""
    found, device = 0, device_of(model)
    with torch.inference_mode(False), torch.no_grad(), evaluating(model):
        for index, rows in enumerate(batches_of(pixels) if len(pixels) else []):
            batch, classes = pixels[rows].clone().to(device), torch.as_tensor(labels[rows], device=device)
            logits = logits_of_batch(model, index, rows)
            gradient = ascent_gradient(logits, batch, classes, None, "cross_entropy")
            found += int((gradient == 0).flatten(1).all(dim=1).sum())
    return found
