"""How much the loss changes with each unit of a route's layers (Li et al. 2020, equation 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.attacks.inputs import Classes, Images, Inputs, checked_inputs
from engine.errors import InvalidInputError
from engine.network.state import evaluating
from engine.network.trace import Network, trace
from engine.network.units import UnitLayer
from engine.progress import Progress, silent
from engine.route.layers import batch_size, route_layers


def unit_gradients(
    model: nn.Module, images: Images, labels: Classes, *, progress: Progress = silent
) -> dict[str, npt.NDArray[np.float64]]:
    """By route layer's name, Σ|∂loss/∂s| over the elements s of each unit, (N, U); loss: cross-entropy to the label.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits.
        images: (N, C, H, W) in [0, 1].
        labels: (N,) true classes.
        progress: called after every batch; may raise Cancelled.

    Raises:
        InvalidInputError: for images or labels the model cannot take, or a model without convolutions.
    """
    inputs = checked_inputs(images, labels, None)
    parts: list[dict[str, Tensor]] = []
    with torch.inference_mode(False), evaluating(model):
        network = trace_for(model, inputs)
        layers = route_layers(network)
        for rows, batch in batches_of(network, inputs):
            _, found = forward_and_gradients(network, layers, batch)
            parts.append(found)
            progress(rows.stop / len(inputs.images), f"gradients of {rows.stop:,} of {len(inputs.images):,} images")
    return {layer.name: torch.cat([part[layer.name] for part in parts]).cpu().numpy() for layer in layers}


def trace_for(model: nn.Module, inputs: Inputs) -> Network:
    """The model, traced for these images; refuses labels that it has no class for."""
    shape = inputs.images.shape
    network = trace(model, (int(shape[1]), int(shape[2]), int(shape[3])))
    inputs.require_classes(network.n_classes)
    return network


def batches_of(network: Network, inputs: Inputs) -> Iterator[tuple[slice, Inputs]]:
    """The images in parts that fit into memory, with their places."""
    like, size = next(network.model.parameters()), batch_size(network)
    for first in range(0, len(inputs.images), size):
        rows = slice(first, min(first + size, len(inputs.images)))
        part = inputs.part(rows, like.device)
        yield rows, Inputs(part.images.to(like.dtype), part.labels, None)


def forward_and_gradients(
    network: Network, layers: Sequence[UnitLayer], batch: Inputs
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """One forward pass and one backward pass with the model's own weights, which get no gradients from it.

    Args:
        network: the traced model, in eval mode.
        layers: whose gradients are wanted.
        batch: images (N, C, H, W) and labels on the model's device.

    Returns:
        the outputs of all steps by node, and by layer's name Σ|∂loss/∂s| over each unit's elements, (N, U) float64.

    Raises:
        InvalidInputError: if the model cuts the gradient or answers with NaN or infinity.
    """
    values: dict[str, Any] = {}

    def keep(node: Any, value: Any, *_: Any) -> None:
        values[node.name] = value

    with torch.enable_grad():
        logits = network.runner.run(batch.images.detach().requires_grad_(), keep)
        outputs = [values[layer.node] for layer in layers]
        if not all(value.requires_grad for value in (logits, *outputs)):
            raise InvalidInputError("expected logits that can be derived from the image; the model cuts the gradient.")
        loss = functional.cross_entropy(logits, batch.labels, reduction="sum")  # each image's own gradient
        gradients = torch.autograd.grad(loss, outputs, materialize_grads=True)
    sums = {
        layer.name: gradient.abs().flatten(2).sum(dim=2, dtype=torch.float64)
        for layer, gradient in zip(layers, gradients, strict=True)
    }
    if not all(bool(torch.isfinite(each).all()) for each in sums.values()):
        raise InvalidInputError("expected finite gradients of the loss; the model gives NaN or infinity on an image.")
    return {name: value.detach() if isinstance(value, Tensor) else value for name, value in values.items()}, sums
