"""Critical data routing paths: the gates an image needs open (Wang et al. 2018), the baseline of Qiu et al. 2019.

Every output channel of every convolution gets a gate λ ≥ 0 for each image. Starting from 1, a few steps of gradient
descent close the gates that the image's own prediction can do without; the gates that remain are the image's features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import fx, nn
from torch.nn import functional

from engine.errors import InvalidInputError
from engine.network.operations import Kind
from engine.network.state import evaluating
from engine.network.trace import Network, traced
from engine.paths.extraction import check_images
from engine.progress import Progress, silent

STEPS = 30
LEARNING_RATE = 0.1
MOMENTUM = 0.9
PENALTY = 0.05
LARGEST = 10.0
BATCH = 100


def gate_features(
    model: nn.Module | Network,
    images: torch.Tensor,
    *,
    steps: int = STEPS,
    learning_rate: float = LEARNING_RATE,
    penalty: float = PENALTY,
    progress: Progress = silent,
) -> npt.NDArray[np.float32]:
    """The gates of each image, convolution after convolution, (N, Σ output channels).

    Minimises, for each image alone, cross-entropy to the model's own prediction + penalty · Σ|λ| (Wang et al. 2018,
    equation 1, with the predicted class for the soft output as in their code). The gates multiply the pre-activations.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits, or is traced already. It is never modified.
        images: (N, C, H, W) float in [0, 1].
        steps: of gradient descent with momentum 0.9.
        learning_rate: of these steps.
        penalty: weight of the L1 norm.
        progress: called after every batch; may raise Cancelled.

    Raises:
        InvalidInputError: for images out of range, or a model without convolutions.
    """
    check_images(images)
    if not len(images):
        raise InvalidInputError("images: expected at least one; got none.")
    network = traced(model, (int(images.shape[1]), int(images.shape[2]), int(images.shape[3])))
    channels = {
        operation.node: operation.layer.shape.out_channels
        for operation in network.operations.values()
        if operation.kind is Kind.LAYER and operation.layer is not None and not operation.layer.is_linear
    }
    if not channels:
        raise InvalidInputError("expected a model with convolutions: gates are put on their channels; it has none.")
    parameter = next(network.model.parameters())
    found = []
    with evaluating(network.model):
        for first in range(0, len(images), BATCH):
            batch = images[first : first + BATCH].to(parameter)
            found.append(_gates_of_batch(network, channels, batch, steps, learning_rate, penalty))
            done = first + len(batch)
            progress(done / len(images), f"gates of {done:,} of {len(images):,} images")
    return np.concatenate(found)


def _gates_of_batch(
    network: Network, channels: dict[str, int], images: torch.Tensor, steps: int, learning_rate: float, penalty: float
) -> npt.NDArray[np.float32]:
    gates = {node: torch.ones(len(images), count).to(images) for node, count in channels.items()}
    speed = {node: torch.zeros_like(gate) for node, gate in gates.items()}
    with torch.no_grad():
        predicted = _logits(network, images, gates).argmax(dim=1)
    for _ in range(steps):
        with torch.enable_grad():
            leaves = {node: gate.detach().requires_grad_() for node, gate in gates.items()}
            loss = functional.cross_entropy(_logits(network, images, leaves), predicted, reduction="sum")
            loss = loss + penalty * torch.stack([gate.sum() for gate in leaves.values()]).sum()  # λ ≥ 0: |λ| = λ
            gradients = torch.autograd.grad(loss, list(leaves.values()))
        for node, gradient in zip(leaves, gradients, strict=True):
            speed[node] = MOMENTUM * speed[node] + gradient
            gates[node] = (gates[node] - learning_rate * speed[node]).clamp(0.0, LARGEST)
    return torch.cat(list(gates.values()), dim=1).float().cpu().numpy()


def _logits(network: Network, images: torch.Tensor, gates: dict[str, torch.Tensor]) -> torch.Tensor:
    def change(node: fx.Node, value: Any) -> Any:
        gate = gates.get(node.name)
        return value if gate is None else value * gate[:, :, None, None]

    logits: torch.Tensor = network.runner.run(images, lambda *_: None, change)
    return logits
