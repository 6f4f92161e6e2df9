"""Attacks that only ask for logits: each image's point climbs by an estimate from many queries until it is broken."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.attacks.base import Attack
from engine.attacks.gradients import margin
from engine.attacks.inputs import Inputs
from engine.attacks.logits import Logits, clearly_succeeded
from engine.progress import Progress
from engine.registry import Parameter

#: Memory grows with the queries: at most this many images, and at most this many image elements, are asked at once.
MAX_QUERIES = 512
MAX_QUERY_ELEMENTS = 2_000_000

#: (n, k, C, H, W) points around n images -> (n, k) margins
Margin = Callable[[Tensor], Tensor]

#: (n, ...) gradients of the rows (n,) -> what to add to their unknowns
Climb = Callable[[Tensor, Tensor], Tensor]


def learning_rate_parameter(default: float) -> Parameter:
    """How far a step goes."""
    return Parameter(
        "learning_rate",
        "Learning rate",
        "float",
        default,
        low=1e-4,
        high=10.0,
        help="Length of a step; larger breaks images in fewer queries, until it overshoots.",
    )


def query_steps_parameter(default: int) -> Parameter:
    """How many steps are taken at most."""
    return Parameter(
        "steps",
        "Steps",
        "int",
        default,
        low=1,
        high=10_000,
        help="Largest number of steps; a broken image stops early.",
    )


@dataclass(frozen=True)
class BlackBoxAttack(Attack):
    """Ascent on the margin max_{j≠y} z_j − z_y (targeted: z_t − max_{j≠t} z_j), estimated from queries alone.

    An image stops as soon as the class that is wanted leads; one that never breaks is returned where its margin was
    best. The model's gradient is never used. Each image draws from a stream of its own, so that what it draws does not
    depend on the images beside it or on when they stop.
    """

    epsilon: float = 0.1
    steps: int = 100
    learning_rate: float = 0.01

    @abstractmethod
    def start(self, images: Tensor, streams: Sequence[torch.Generator]) -> Tensor:
        """The unknowns (N, C, H, W) to begin with."""

    @abstractmethod
    def place(self, images: Tensor, unknowns: Tensor) -> Tensor:
        """The attacked images the unknowns stand for, in [0, 1] and within ε; the shapes may be broadcast."""

    @abstractmethod
    def climb(self, unknowns: Tensor) -> Climb:
        """How a gradient is turned into a step."""

    @abstractmethod
    def queries(self) -> int:
        """How many queries one estimate for one image takes."""

    @abstractmethod
    def estimate(self, margin: Margin, images: Tensor, unknowns: Tensor, streams: Sequence[torch.Generator]) -> Tensor:
        """The estimated gradient (n, C, H, W) of the margin with respect to the unknowns."""

    def perturb(
        self,
        model: Logits,
        images: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        generator: torch.Generator,
        progress: Progress,
    ) -> Tensor:
        """The first point at which each image is broken, or its best."""
        everything = Inputs(images, labels, targets)
        streams = streams_of(images, generator)
        unknowns = self.start(images, streams)
        climb = self.climb(unknowns)
        best, highest = images.clone(), torch.full((len(images),), -torch.inf, device=images.device)
        left = torch.arange(len(images), device=images.device)
        for step in range(self.steps + 1):
            points = self.place(images[left], unknowns[left])
            values, broken = _judged(model, points, everything.chosen(left))
            better = (values > highest[left]) | broken
            best[left[better]], highest[left[better]] = points[better], values[better]
            left = left[~broken]
            if step == self.steps or not len(left):
                break
            report = _within(progress, step, self.steps, len(left))
            gradient = self._gradient(model, everything, left, unknowns, streams, report)
            unknowns[left] = unknowns[left] + climb(gradient, left)
            unknowns[left] = self.feasible(images[left], unknowns[left])
        return best

    def perturb_batch(
        self, model: Logits, batch: Inputs, scored: Tensor, generator: torch.Generator, progress: Progress
    ) -> tuple[Tensor, Tensor]:
        """The attacked copies, all of radius ε."""
        attacked = self.perturb(model, batch.images, batch.labels, batch.targets, generator, progress)
        return attacked, torch.full((len(attacked),), self.epsilon, dtype=torch.float64)

    def feasible(self, images: Tensor, unknowns: Tensor) -> Tensor:
        """The nearest unknowns that are allowed; all are unless a subclass says otherwise."""
        return unknowns

    def _gradient(
        self,
        model: Logits,
        everything: Inputs,
        left: Tensor,
        unknowns: Tensor,
        streams: Sequence[torch.Generator],
        progress: Progress,
    ) -> Tensor:
        """The estimates for the rows ``left``, for as many rows at once as the queries allow."""
        together = max(1, largest_part(everything.images) // self.queries())
        parts: list[Tensor] = []
        for rows in torch.split(left, together):
            group = everything.chosen(rows)
            asked = 0

            def ask(points: Tensor, group: Inputs = group) -> Tensor:
                nonlocal asked
                done = len(parts) * together + len(group.images) * min(asked / self.queries(), 1.0)
                progress(min(done / len(left), 1.0), "")
                asked += points.shape[1]
                return _margins_around(model, points, group)

            chosen = [streams[row] for row in rows.tolist()]
            parts.append(self.estimate(ask, group.images, unknowns[rows], chosen))
        return torch.cat(parts)


def largest_part(images: Tensor) -> int:
    """How many images like these (N, C, H, W) are asked at once."""
    return max(1, min(MAX_QUERIES, MAX_QUERY_ELEMENTS // images[0].numel()))


def parts_of(samples: int, images: Tensor, queries_each: int) -> list[int]:
    """Splits one image's samples so that no part holds more queries than are asked at once."""
    size = max(1, largest_part(images) // queries_each)
    return [min(size, samples - first) for first in range(0, samples, size)]


def streams_of(images: Tensor, generator: torch.Generator) -> list[torch.Generator]:
    """One generator for each image, seeded from ``generator`` by one draw an image."""
    seeds = [int(torch.randint(2**63 - 1, (), generator=generator)) for _ in range(len(images))]
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def margins(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """How far (N,) each row of logits (N, K) is on the side that the attack wants; above 0 it has succeeded."""
    return margin(logits, labels) if targets is None else -margin(logits, targets)


def _judged(model: Logits, points: Tensor, group: Inputs) -> tuple[Tensor, Tensor]:
    logits = torch.cat([model(part) for part in torch.split(points, largest_part(points))])
    values = margins(logits, group.labels, group.targets)
    return values, clearly_succeeded(logits, group.labels, group.targets)


def _margins_around(model: Logits, points: Tensor, group: Inputs) -> Tensor:
    each = points.shape[1]
    flat = points.flatten(0, 1)
    logits = torch.cat([model(part) for part in torch.split(flat, largest_part(flat))])
    targets = None if group.targets is None else group.targets.repeat_interleave(each)
    return margins(logits, group.labels.repeat_interleave(each), targets).reshape(-1, each)


def _within(progress: Progress, step: int, steps: int, left: int) -> Progress:
    def report(fraction: float, message: str) -> None:
        progress((step + fraction) / steps, f"step {step + 1} of {steps}, {left} images unbroken")

    return report
