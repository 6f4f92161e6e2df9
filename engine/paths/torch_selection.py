"""Selects the synapses of one layer by torch operations, where the model is on a GPU: the same sets as the kernel's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from engine.network.operations import Layer
from engine.paths.largest import TOLERANCE

#: Contributions looked at together; each takes some 60 bytes on the device while it is.
TOGETHER = 4_000_000


def select_by_torch(
    layer: Layer,
    inputs: npt.NDArray[np.float32],
    outputs: npt.NDArray[np.float32],
    active: npt.NDArray[np.bool_],
    theta: float,
    input_active: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The synapses of every active neuron; arguments as those of :func:`engine.paths.layer_selection.select_in_layer`,
    whose result when called this returns.

    Works on the device of the layer's weights, in float64, by sorting each neuron's contributions.
    """
    device, field = layer.weight.device, layer.shape.receptive_field
    n_images = len(inputs)
    images, neurons = (torch.from_numpy(each).to(device) for each in np.nonzero(active))
    flat = torch.from_numpy(inputs.reshape(n_images, -1)).to(device)
    signs = torch.from_numpy(outputs.reshape(n_images, -1)).to(device)[images, neurons]
    reached = torch.zeros(flat.shape, dtype=torch.bool, device=device)
    height, width = (1, 1) if layer.is_linear else (int(inputs.shape[2]), int(inputs.shape[3]))
    found: list[npt.NDArray[np.int64]] = []
    counts = np.zeros(n_images, np.int64)
    size = max(1, TOGETHER // field)
    for first in range(0, len(images), size):
        part = slice(first, first + size)
        n, neuron = images[part], neurons[part]
        places, inside = _fields(layer, neuron, height, width)
        values = flat[n[:, None], places.clamp(0, flat.shape[1] - 1)].double()
        weights = layer.weight.detach().float().flatten(1)[neuron // _positions(layer)].double()
        sign = torch.where(signs[part] >= 0, 1.0, -1.0).double()
        chosen = _chosen(sign[:, None] * (weights * values), inside, theta)
        rows, k = chosen.nonzero(as_tuple=True)
        reached[n[rows], places[rows, k]] = True
        found.append((neuron[rows] * field + k).cpu().numpy())
        counts += np.bincount(n[rows].cpu().numpy(), minlength=n_images)
    input_active |= reached.cpu().numpy()
    begins = np.concatenate([[0], np.cumsum(counts)])
    return (np.concatenate(found) if found else np.empty(0, np.int64)), begins


def _positions(layer: Layer) -> int:
    return layer.shape.out_height * layer.shape.out_width


def _fields(layer: Layer, neurons: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the field of each neuron lies in a flat image, (R, K) int64, and which of it is on the image, (R, K)."""
    shape = layer.shape
    k = torch.arange(shape.receptive_field, device=neurons.device)
    c, within = k // (shape.kernel_height * shape.kernel_width), k % (shape.kernel_height * shape.kernel_width)
    channel, position = neurons // _positions(layer), neurons % _positions(layer)
    group = channel // (shape.out_channels // shape.groups)
    top = position // shape.out_width * layer.stride[0] - layer.offset[0]
    left = position % shape.out_width * layer.stride[1] - layer.offset[1]
    y = top[:, None] + within // shape.kernel_width * layer.dilation[0]
    x = left[:, None] + within % shape.kernel_width * layer.dilation[1]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return ((group[:, None] * shape.in_channels_per_group + c) * height + y) * width + x, inside


def _chosen(contributions: torch.Tensor, inside: torch.Tensor, theta: float) -> torch.Tensor:
    """Which of each row's contributions definitions 2 selects, (R, K) bool."""
    total = torch.where(inside, contributions, 0.0).sum(1)
    ordered, order = torch.where(inside, contributions, -torch.inf).sort(dim=1, descending=True, stable=True)
    sums = ordered.clamp(min=0).cumsum(1)
    short = (sums < (theta * total * (1 - TOLERANCE))[:, None]).sum(1)
    taken = torch.where(total > 0, torch.minimum(short + 1, (ordered > 0).sum(1)), 1)
    in_order = (torch.arange(ordered.shape[1], device=ordered.device) < taken[:, None]) & (ordered > -torch.inf)
    return torch.zeros_like(inside).scatter(1, order, in_order)
