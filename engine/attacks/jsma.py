"""JSMA: the Jacobian-based saliency map attack, which changes few pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from engine.attacks.base import Attack
from engine.attacks.gradients import ascent_gradient_and_logits
from engine.attacks.inputs import Inputs
from engine.attacks.logits import Logits, clearly_succeeded
from engine.progress import Progress
from engine.registry import Parameter, Value

#: Qiu et al. 2018 and 2019 ran Foolbox 1.3.2's defaults; see "single_pixel" in :class:`JSMA`.
JSMA_PRESETS: dict[str, dict[str, Value]] = {
    "authors": {
        "choice": "single_pixel",
        "theta": 0.1,
        "steps": 2000,
        "max_changes": 7,
        "max_share": 1.0,
    }
}


@dataclass(frozen=True)
class JSMA(Attack):
    """Raises the probability p_t of a target class, few elements at a time, Papernot et al. 2016, section IV.

    "softmax_pair" is algorithm 3: the two elements with the largest saliency are raised by θ. On the softmax output the
    other classes' derivatives sum to −∂p_t, so the saliency −αβ of a pair is (∂p_t/∂i + ∂p_t/∂j)² where that sum is
    positive: the best pair is the top two of ∇p_t, and of ∇log p_t, which does not underflow. No search over all pairs
    is needed.

    "single_pixel" is the form of Foolbox 1.3.2: the one element with the largest |∂ log p_t|, up or down by θ, at most
    ``max_changes`` times, and never again once it has reached black or white. Deviation: as run with its defaults,
    Foolbox's map has one sign only and darkens pixels; its text says both directions, which is what is done here.

    Both leave out elements that cannot move further and stop when none is left. An element is one value of one channel.
    Untargeted, the target is the second most likely class of the image, and any wrong class is a success. Deviation:
    Foolbox takes the class that a growing step along the gradient first runs into, or a random one.
    """

    name: ClassVar[str] = "jsma"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "choice",
            "Form",
            "choice",
            "softmax_pair",
            choices=("softmax_pair", "single_pixel"),
            help="Two pixels at a time, brighter; or one at a time, brighter or darker.",
        ),
        Parameter(
            "theta",
            "Change θ",
            "float",
            1.0,
            low=1 / 255,
            high=1.0,
            unit="of full scale",
            help="How much a pixel changes at a time; 1 makes it white or black at once.",
        ),
        Parameter("steps", "Steps", "int", 2000, low=1, high=100_000, help="Most changes of a pixel or pair."),
        Parameter(
            "max_changes",
            "Changes per pixel",
            "int",
            255,
            low=1,
            high=255,
            help="Most changes of the same pixel.",
        ),
        Parameter(
            "max_share",
            "Share of pixels",
            "float",
            0.145,
            low=0.0,
            high=1.0,
            unit="of all pixels",
            help="The attack gives up when more pixels than this share would change; 1 is no limit.",
        ),
    )

    choice: Literal["softmax_pair", "single_pixel"] = "softmax_pair"
    theta: float = 1.0
    steps: int = 2000
    max_changes: int = 255
    max_share: float = 0.145

    def perturb(
        self,
        model: Logits,
        images: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        generator: torch.Generator,
        progress: Progress,
    ) -> Tensor:
        """The first point that is what is wanted; where no element is left, the point reached."""
        logits = model(images)
        aims = logits.topk(2, dim=1).indices[:, 1] if targets is None else targets
        whole = Inputs(images, labels, targets)
        left = (~clearly_succeeded(logits, labels, targets)).nonzero().squeeze(1)
        attacked, counts = images.clone(), torch.zeros_like(images, dtype=torch.int16)
        for step in range(self.steps):
            if len(left) == 0:
                break
            progress(step / self.steps, f"step {step + 1}, {len(left)} images unbroken")
            todo = whole.chosen(left)
            gradient, logits = ascent_gradient_and_logits(
                model, attacked[left], todo.labels, aims[left], "cross_entropy"
            )
            chosen, change = self._choose(gradient, attacked[left], counts[left])
            goes_on = ~clearly_succeeded(logits, todo.labels, todo.targets) & chosen.flatten(1).any(dim=1)
            left = left[goes_on]
            attacked[left] = (attacked[left] + change[goes_on]).clamp(0.0, 1.0)
            counts[left] += chosen[goes_on].to(counts.dtype)
        return attacked

    def _choose(self, gradient: Tensor, points: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Which elements (N, C, H, W) to change and by how much; none where the rules leave none."""
        single = self.choice == "single_pixel"
        direction = gradient.sign() if single else torch.ones_like(gradient)
        movable = ((direction > 0) & (points < 1)) | ((direction < 0) & (points > 0))
        movable &= (counts < self.max_changes) & ((counts == 0) | ((points > 0) & (points < 1)))
        gain = torch.where(movable, direction * gradient, -torch.inf).flatten(1)
        best = gain.topk(min(1 if single else 2, gain.shape[1]), dim=1)
        chosen = torch.zeros_like(gain, dtype=torch.bool).scatter(1, best.indices, True).view_as(points)
        touched = (chosen | (counts > 0)).flatten(1).sum(dim=1)
        possible = (best.values.sum(dim=1) > 0) & (touched <= self.max_share * gain.shape[1])
        chosen &= possible[:, None, None, None]
        return chosen, torch.where(chosen, direction * self.theta, torch.zeros_like(points))
