"""The smallest radius that works, image by image, on a grid."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from engine.attacks.inputs import Inputs
from engine.attacks.logits import Logits, succeeded
from engine.progress import Progress

#: An image counts as broken when the new class leads by this share of the largest logit. Less is rounding noise, which
#: changes with the number of images in a batch, so that the verdict would change with the company an image is in.
LEAD = 1e-5

#: (radius, rows still unbroken, progress) -> attacked copies of these rows, inside [0, 1]
Trial = Callable[[float, Tensor, Progress], Tensor]


def smallest_epsilon(
    trial: Trial, grid: list[float], model: Logits, batch: Inputs, scored: Tensor, progress: Progress
) -> tuple[Tensor, Tensor]:
    """Tries the radii of ``grid`` in order; each image leaves with the first one that works.

    With FGSM's 1000 and BIM's 100 radii up to 1, this is how Qiu et al. 2018 and 2019 attack: they take the defaults of
    Foolbox 1.3.2. Only images that are scored and still unbroken are run again.

    Returns:
        The attacked copies (N, C, H, W), where no radius works the original image, and the radii (N,), NaN there.
    """
    attacked = batch.images.clone()
    found = torch.full((len(attacked),), math.nan, dtype=torch.float64, device=attacked.device)
    left = scored.nonzero().squeeze(1)
    for level, epsilon in enumerate(grid):
        if len(left) == 0:
            break
        report = _within(progress, level, len(grid), f"ε = {epsilon:.4g}, {len(left)} images unbroken")
        report(0.0, "")
        copies = trial(epsilon, left, report)
        broken = _clearly_broken(model(copies), batch, left)
        attacked[left[broken]] = copies[broken]
        found[left[broken]] = epsilon
        left = left[~broken]
    # The judge runs the whole batch at once: what does not hold there is not a find.
    holds = scored & succeeded(model.predict(attacked), batch.labels, batch.targets)
    attacked[~holds] = batch.images[~holds]
    found[~holds] = math.nan
    return attacked, found


def _clearly_broken(logits: Tensor, batch: Inputs, rows: Tensor) -> Tensor:
    targets = None if batch.targets is None else batch.targets[rows]
    wanted = succeeded(logits.argmax(dim=1), batch.labels[rows], targets)
    leaders = logits.topk(2, dim=1).values
    return wanted & (leaders[:, 0] - leaders[:, 1] > LEAD * logits.abs().amax(dim=1))


def _within(progress: Progress, level: int, count: int, where: str) -> Progress:
    def report(fraction: float, message: str) -> None:
        progress((level + fraction) / count, f"{where}, {message}" if message else where)

    return report
