"""DeepFool: step by step to the nearest boundary of the linearised model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from engine.attacks.base import Attack
from engine.attacks.gradients import gradient_of
from engine.attacks.logits import Logits, clearly_succeeded
from engine.progress import Progress
from engine.registry import Parameter, Value

#: Added to the distance of each step, as the authors' code does, because a step shrinks with the distance left.
EXTRA = 1e-4

#: What Qiu et al. 2018 and 2019 ran.
DEEPFOOL_PRESETS: dict[str, dict[str, Value]] = {"authors": {"steps": 100, "candidates": 10}}


@dataclass(frozen=True)
class DeepFool(Attack):
    """The L2 form of Moosavi-Dezfooli et al. 2016, algorithm 2.

    Each step goes to the nearest of the planes that approximate the boundaries between the predicted class 0 and the
    candidates k, with w_k = ∇(z_k − z_0): r_i = |z_k − z_0| / ‖w_k‖² · w_k (equations 8 and 9). The steps add up to r,
    and x' = clip(x + (1 + overshoot)·r), clipped last, is where the next step is computed; an image leaves as soon as
    its class has changed. Deviations: only the most likely classes are candidates, and 1e-4 is added to the distance of
    each step, both as in the authors' code. Images that the model has wrong already are left as they are.
    """

    name: ClassVar[str] = "deepfool"
    targetable: ClassVar[bool] = False
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("steps", "Steps", "int", 100, low=1, high=10_000, help="Most steps taken for an image."),
        Parameter(
            "candidates",
            "Candidate classes",
            "int",
            10,
            low=2,
            high=1000,
            help="Boundaries to this many of the most likely classes are compared, the predicted one among them.",
        ),
        Parameter(
            "overshoot",
            "Overshoot",
            "float",
            0.02,
            low=0.0,
            high=1.0,
            unit="of the change",
            help="How much further than the boundary the change goes, as a share of its length.",
        ),
    )

    steps: int = 100
    candidates: int = 10
    overshoot: float = 0.02

    def perturb(
        self,
        model: Logits,
        images: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        generator: torch.Generator,
        progress: Progress,
    ) -> Tensor:
        """The first point whose class has changed; after the last step, the point reached."""
        classes = model(images).argsort(dim=1, descending=True, stable=True)[:, : self.candidates]
        left = (classes[:, 0] == labels).nonzero().squeeze(1)
        total, attacked = torch.zeros_like(images), images.clone()
        for step in range(self.steps):
            if len(left) == 0:
                break

            def report(fraction: float, message: str, step: int = step, count: int = len(left)) -> None:
                progress((step + fraction) / self.steps, f"step {step + 1}, {count} images unbroken, {message}")

            total[left] += _to_nearest_boundary(model, attacked[left], classes[left], report)
            attacked[left] = (images[left] + (1 + self.overshoot) * total[left]).clamp(0.0, 1.0)
            left = left[~clearly_succeeded(model(attacked[left]), labels[left], None)]
        return attacked


def _to_nearest_boundary(model: Logits, points: Tensor, classes: Tensor, progress: Progress) -> Tensor:
    """The step (N, C, H, W) to the nearest linearised boundary between the first and another class of ``classes``."""
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        logits = model(points).gather(1, classes)
        behind = logits[:, 1:] - logits[:, :1]
    step, nearest = torch.zeros_like(points), torch.full((len(points),), torch.inf).to(points)
    count = behind.shape[1]
    for k in range(count):
        progress(k / count, f"class {k + 1} of {count}")
        with torch.enable_grad():
            value = behind[:, k].sum()
        gradient = gradient_of(value, points, model, keep_graph=k + 1 < count)
        length = torch.linalg.vector_norm(gradient, dim=(1, 2, 3))
        distance = behind[:, k].detach().abs() / length
        # Without a gradient there is no boundary to go to: an infinite distance, or NaN, is never nearer.
        closer = distance < nearest
        nearest = torch.where(closer, distance, nearest)
        scale = torch.where(closer, (distance + EXTRA) / length, torch.zeros_like(length))
        step = torch.where(closer[:, None, None, None], scale[:, None, None, None] * gradient, step)
    return step.detach()
