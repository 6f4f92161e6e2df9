"""The smallest radius that works, image by image: on a grid, or by bisection."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from engine.attacks.inputs import Inputs
from engine.attacks.logits import Logits, clearly_succeeded, succeeded
from engine.progress import Progress

#: (radius, rows still unbroken, progress) -> attacked copies of these rows, inside [0, 1]
Trial = Callable[[float, Tensor, Progress], Tensor]

#: (radius of each row (n, 1, 1, 1), rows, progress) -> attacked copies of these rows, inside [0, 1]
TrialEach = Callable[[Tensor, Tensor, Progress], Tensor]

#: How much a bisection's radius grows until it works.
GROWTH = 1.5


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
    _drop_what_does_not_hold(attacked, found, model, batch, scored)
    return attacked, found


def bisected_epsilon(
    trial: TrialEach,
    start: float,
    largest: float,
    steps: int,
    model: Logits,
    batch: Inputs,
    scored: Tensor,
    progress: Progress,
) -> tuple[Tensor, Tensor]:
    """Grows the radius by half from ``start`` until it works, then halves the interval below it ``steps`` times.

    This is the binary search of Foolbox 1.3.2's basic iterative method (20 steps from 0.3). Deviations: there the
    radius grows up to 20 times, far beyond 1, here no further than ``largest``; and there a run ends with its first
    point that is adversarial, here its last point is judged.

    Returns:
        The attacked copies (N, C, H, W), where no radius works the original image, and the radii (N,), NaN there.
    """
    grid = _growing(start, largest, steps)
    rounds = len(grid) + steps

    def same_for_all(epsilon: float, rows: Tensor, report: Progress) -> Tensor:
        return trial(torch.full((len(rows), 1, 1, 1), epsilon).to(batch.images), rows, report)

    first = _within(progress, 0, 1, f"growing from ε = {start:.4g}", share=len(grid) / rounds)
    attacked, found = smallest_epsilon(same_for_all, grid, model, batch, scored, first)
    rows = found.isfinite().nonzero().squeeze(1)
    low, high = torch.zeros_like(found[rows]), found[rows]
    for level in range(steps if len(rows) else 0):
        report = _within(progress, len(grid) + level, rounds, f"halving {level + 1} of {steps}")
        middle = (low + high) / 2
        copies = trial(middle.to(batch.images)[:, None, None, None], rows, report)
        broken = _clearly_broken(model(copies), batch, rows)
        attacked[rows[broken]] = copies[broken]
        low, high = torch.where(broken, low, middle), torch.where(broken, middle, high)
    found[rows] = high
    _drop_what_does_not_hold(attacked, found, model, batch, scored)
    return attacked, found


def _growing(start: float, largest: float, steps: int) -> list[float]:
    grid = [start]
    while grid[-1] < largest and len(grid) < steps:
        grid.append(min(grid[-1] * GROWTH, largest))
    return grid


def _clearly_broken(logits: Tensor, batch: Inputs, rows: Tensor) -> Tensor:
    chosen = batch.chosen(rows)
    return clearly_succeeded(logits, chosen.labels, chosen.targets)


def _drop_what_does_not_hold(attacked: Tensor, found: Tensor, model: Logits, batch: Inputs, scored: Tensor) -> None:
    # The judge runs the whole batch at once: what does not hold there is not a find.
    holds = scored & succeeded(model.predict(attacked), batch.labels, batch.targets)
    attacked[~holds] = batch.images[~holds]
    found[~holds] = math.nan


def _within(progress: Progress, level: int, count: int, where: str, share: float = 1.0) -> Progress:
    def report(fraction: float, message: str) -> None:
        progress(share * (level + fraction) / count, f"{where}, {message}" if message else where)

    return report
