"""Attacked copies of training images, made on the model as it is at that moment."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.attacks.base import Attack
from engine.attacks.logits import Logits
from engine.network.state import evaluating
from engine.progress import Progress, silent


def craft(
    model: nn.Module,
    attack: Attack,
    images: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    *,
    bfloat16: bool,
    where: str,
    progress: Progress = silent,
) -> Tensor:
    """The attacked copies (N, C, H, W) of a batch, in [0, 1], without gradients; the attack is not judged.

    The model is in eval mode meanwhile, so that batch norm uses and keeps its running statistics; no gradient of the
    weights is computed.

    Args:
        model: maps images to logits.
        attack: run untargeted.
        images: (N, C, H, W) in [0, 1] on the model's device.
        labels: (N,) true classes.
        generator: of the attack's random choices, on the CPU.
        bfloat16: whether layers compute in it.
        where: the batch, for messages.
        progress: takes the finished fraction of the batch; may raise Cancelled.

    Raises:
        EngineError: if the model answers with NaN or infinity.
    """
    # A context of its own: weights that autocast converted here must not be taken for those of the training pass.
    with torch.no_grad(), evaluating(model), torch.autocast(images.device.type, torch.bfloat16, enabled=bfloat16):
        made = attack.perturb(Logits(model, where), images, labels, None, generator, progress)
    return made.detach().float().clamp(0.0, 1.0)
