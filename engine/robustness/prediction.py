"""Which images a model gets right; an answer that is not finite is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engine.attacks.base import batches_of
from engine.attacks.logits import device_of
from engine.network.state import evaluating
from engine.progress import Progress, silent

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a model says to N images.

    Attributes:
        right: (N,) whether the largest logit is the label's.
        finite: (N,) whether all logits are finite; where not, the answer is wrong.
    """

    right: Flags
    finite: Flags


def answers(model: nn.Module, images: Tensor, labels: npt.NDArray[np.int64], *, progress: Progress = silent) -> Answers:
    """Asks the model in eval mode, leaving its modes as they were.

    The images are split as attacks split them, so that rounding noise cannot make the two disagree.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits (N, K).
        images: (N, C, H, W) float32 on the CPU.
        labels: (N,) their classes.
        progress: called per batch; may raise Cancelled.
    """
    right, finite = [], []
    device, first = device_of(model), next((p for p in model.parameters() if p.is_floating_point()), None)
    dtype = torch.float32 if first is None else first.dtype
    with torch.inference_mode(False), torch.no_grad(), evaluating(model):
        for rows in batches_of(images):
            progress(rows.start / len(images), "answers")
            logits = model(images[rows].clone().to(device, dtype))  # a clone: models may work in place
            sound = torch.isfinite(logits).all(dim=1).cpu().numpy()
            finite.append(sound)
            right.append(sound & (logits.argmax(dim=1).cpu().numpy() == labels[rows]))  # NaN would win argmax
    return Answers(np.concatenate(right), np.concatenate(finite))
