"""An attack that knows the detector: it misleads the classifier and keeps the image on the path of its new class.

A detector is worth what it does against one who knows it. Which synapses a path holds cannot be differentiated; what
decides it, the activations, can. So the attack pulls them towards those of a clean image of the class it leads to,
while it moves the prediction there (after Gan et al. 2020, who so attack defences by critical paths).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, fx, nn

from engine.attacks.base import Attack
from engine.attacks.bounded import LINF_EPSILON
from engine.attacks.gradients import objective
from engine.attacks.iterative import relative_step_parameter, steps_parameter
from engine.attacks.logits import Logits
from engine.datasets.dataset import ImageSet
from engine.errors import InvalidInputError
from engine.network.operations import Kind
from engine.network.state import evaluating
from engine.network.trace import Network, trace
from engine.progress import Progress
from engine.registry import Parameter

GUIDE_BATCH = 500
PULL = Parameter(
    "pull",
    "Pull",
    "float",
    10.0,
    low=0.0,
    high=1e4,
    help="Weight of the distance to the guide's activations, beside the margin in logits. 0 is a plain attack.",
)


@dataclass(frozen=True)
class AdaptiveAttack(Attack):
    """Projected gradient descent in the L∞ ball on −margin(x') + pull · Σ_l ‖F_l(x') − F_l(g)‖² / ‖F_l(g)‖².

    The margin is that of the target class, without targets the second most likely one; F_l are the outputs of layer l
    before the activation, g the guide of that class. Among the points on the way that mislead the classifier, the one
    nearest to its guide's activations is returned.

    Attributes:
        guides: (K, C, H, W), for each class a clean image that the model gives that class.
    """

    name: ClassVar[str] = "adaptive"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        LINF_EPSILON,
        steps_parameter(100),
        relative_step_parameter(0.05),
        PULL,
    )

    epsilon: float = 0.1
    steps: int = 100
    relative_step: float = 0.05
    pull: float = 10.0
    guides: Tensor | None = field(default=None, repr=False)

    def perturb(
        self,
        model: Logits,
        images: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        generator: torch.Generator,
        progress: Progress,
    ) -> Tensor:
        """The attacked copies."""
        if self.guides is None:
            raise InvalidInputError("guides: expected a clean image of every class; got none.")
        aims = _second(model(images), labels) if targets is None else targets
        shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
        network = trace(model.module, shape)
        _, wanted = _outputs(network, self.guides.to(images)[aims].to(model.dtype))
        point, best = images.clone(), images.clone()
        nearest = torch.full((len(images),), torch.inf, device=images.device)
        for step in range(self.steps + 1):
            with torch.enable_grad():
                leaf = point.detach().requires_grad_()
                logits, outputs = _outputs(network, leaf.to(model.dtype))
                distance = _distance(outputs, wanted)
                loss = self.pull * distance.sum() - objective(logits, labels, aims, "margin")
                gradient = torch.autograd.grad(loss, leaf)[0]
            better = (logits.detach().argmax(dim=1) == aims) & (distance.detach() < nearest)
            best[better], nearest = point[better], torch.where(better, distance.detach().to(nearest), nearest)
            moved = point - self.relative_step * self.epsilon * gradient.sign()
            point = (images + (moved - images).clamp(-self.epsilon, self.epsilon)).clamp(0.0, 1.0)
            progress(step / (self.steps + 1), f"step {step} of {self.steps}")
        return torch.where(nearest.isfinite()[:, None, None, None], best, point)


def guides_from(model: nn.Module, images: ImageSet, classes: int) -> Tensor:
    """For each class the first image that the model gives that class, (K, C, H, W); where there is none, of that label.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits.
        images: clean images, of the training set.
        classes: K.

    Raises:
        InvalidInputError: for a class that no image has.
    """
    found: dict[int, int] = {}
    with evaluating(model), torch.no_grad():
        like = next(model.parameters())
        for first in range(0, len(images), GUIDE_BATCH):
            rows = np.arange(first, min(first + GUIDE_BATCH, len(images)))
            predicted = model(images.images(rows).to(like)).argmax(dim=1).cpu().numpy()
            for row, label in zip(rows.tolist(), predicted.tolist(), strict=True):
                found.setdefault(label, row)
            if len(found) == classes:
                break
    for label in set(range(classes)) - set(found):
        rows = np.flatnonzero(images.labels == label)
        if not len(rows):
            raise InvalidInputError(f"guides: expected an image of class {label} among the training images; got none.")
        found[label] = int(rows[0])
    return images.images([found[label] for label in range(classes)])


def _second(logits: Tensor, labels: Tensor) -> Tensor:
    """The most likely class other than the label, (N,)."""
    return logits.scatter(1, labels[:, None], -torch.inf).argmax(dim=1)


def _outputs(network: Network, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The logits, and every layer's output before its activation."""
    layers = {operation.node for operation in network.operations.values() if operation.kind is Kind.LAYER}
    kept: list[Tensor] = []

    def keep(node: fx.Node, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if node.name in layers:
            kept.append(value)

    logits: Tensor = network.runner.run(images, keep)
    return logits, kept


def _distance(outputs: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Σ_l ‖F_l(x') − F_l(g)‖² / ‖F_l(g)‖², (N,)."""
    parts = [
        (mine - theirs).flatten(1).square().sum(dim=1) / theirs.flatten(1).square().sum(dim=1).clamp_min(1e-12)
        for mine, theirs in zip(outputs, wanted, strict=True)
    ]
    return torch.stack(parts).sum(dim=0)
