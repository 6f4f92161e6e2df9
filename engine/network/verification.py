"""Compares a traced model with the model itself: what tracing cannot see must not silently change the analysis."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from engine.errors import UnsupportedOperationError
from engine.network.recording import Runner

# Folding a batch norm and another order of sums change the last digits; half precision keeps three of them.
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3}
HALF_TOLERANCE = 5e-2


def verify(model: nn.Module, runner: Runner, image_shape: tuple[int, int, int]) -> None:
    """Runs two random images through both; call it with the model in eval mode and gradients off.

    The model gets them one by one, the traced copy together, so that an operation that mixes the images of a batch is
    found too.

    Raises:
        UnsupportedOperationError: if the logits differ.
    """
    like = next(model.parameters(), torch.zeros(()))
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((2, *image_shape), generator=generator).to(device=like.device, dtype=like.dtype)
    expected = torch.cat([model(image[None].clone()) for image in images])
    got = runner.run(images.clone(), _ignore)
    tolerance = TOLERANCE.get(like.dtype, HALF_TOLERANCE)
    scale = max(float(expected.abs().max()), 1e-6)
    if got.shape != expected.shape:
        raise UnsupportedOperationError(
            f"{type(model).__name__} gives logits of shape {tuple(got.shape)} for two images together, and "
            f"{tuple(expected.shape)} for the two one by one: it mixes the images of a batch."
        )
    finite = bool(torch.isfinite(expected).all())
    if finite and not float((got - expected).abs().max()) <= tolerance * scale:
        raise UnsupportedOperationError(
            f"the traced copy of {type(model).__name__} answers a test image differently from the model itself "
            f"(by {float((got - expected).abs().max()):.3g} of {scale:.3g}). What tracing cannot follow are forward "
            "hooks, values that a later in-place step overwrites while they are still needed, random choices in eval "
            "mode, and steps that mix the images of a batch. Write these as plain operations in forward."
        )


def _ignore(*_: Any) -> None:
    """No step is recorded."""
