"""What gradient attacks climb: the objective and its gradient with respect to the images."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from engine.attacks.logits import Logits
from engine.errors import EngineError

Loss = Literal["cross_entropy", "margin"]


def margin(logits: Tensor, classes: Tensor) -> Tensor:
    """By how much (N,) the best other class leads the given one: max_{j≠y} z_j − z_y."""
    own = logits.gather(1, classes[:, None]).squeeze(1)
    return logits.scatter(1, classes[:, None], -torch.inf).amax(dim=1) - own


def objective(logits: Tensor, labels: Tensor, targets: Tensor | None, loss: Loss) -> Tensor:
    """The scalar an attack increases, summed over the images so that each image's gradient is independent of the batch.

    Untargeted, cross entropy of the label, or the margin max_{j≠y} z_j − z_y (Carlini & Wagner 2017, f_6 without its
    bound). Targeted, the same for the target with the sign turned. Cross entropy has the gradient exactly zero where
    the softmax saturates in 32 bits; the margin never does.

    Args:
        logits: (N, K).
        labels: (N,) true classes.
        targets: (N,) wanted classes, or None.
        loss: "cross_entropy" or "margin".
    """
    classes = labels if targets is None else targets
    if loss == "margin":
        value = margin(logits, classes).sum()
    else:
        value = functional.cross_entropy(logits, classes, reduction="sum")
    return value if targets is None else -value


def ascent_gradient(model: Logits, images: Tensor, labels: Tensor, targets: Tensor | None, loss: Loss) -> Tensor:
    """The gradient (N, C, H, W) of the objective at ``images``; raises what :func:`gradient_of` raises."""
    return ascent_gradient_and_logits(model, images, labels, targets, loss)[0]


def ascent_gradient_and_logits(
    model: Logits, images: Tensor, labels: Tensor, targets: Tensor | None, loss: Loss
) -> tuple[Tensor, Tensor]:
    """The gradient (N, C, H, W) of the objective at ``images``, and the logits (N, K) there, from one pass."""
    with torch.enable_grad():
        point = images.detach().clone().requires_grad_()
        logits = model(point)
        value = objective(logits, labels, targets, loss)
    return gradient_of(value, point, model), logits.detach()


def gradient_of(value: Tensor, point: Tensor, model: Logits, *, keep_graph: bool = False) -> Tensor:
    """The gradient (N, C, H, W) of a scalar with respect to ``point``, from which ``model`` made it.

    No ``.grad`` is written: neither the parameters' nor the images'.

    Raises:
        EngineError: if the gradient is not finite, or the output does not depend on the images by differentiable steps.
    """
    gradient = None
    if value.requires_grad:
        gradient = torch.autograd.grad(value, point, allow_unused=True, retain_graph=keep_graph)[0]
    if gradient is None:
        raise EngineError(
            f"{model.where}: expected a model that is differentiable in its input; no gradient reaches the images. "
            "Remove detach() or rounding from the model, or choose an attack that needs no gradient."
        )
    model.require_finite(gradient, "gradients")
    return gradient
