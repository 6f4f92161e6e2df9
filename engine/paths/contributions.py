"""What flows into one unit along a path: the contributions of its selected synapses, by unit of the layer before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from engine.errors import InvalidInputError
from engine.network.operations import Layer
from engine.paths.extraction import EffectivePath
from engine.paths.path import Path


@dataclass(frozen=True, slots=True, eq=False)
class Incoming:
    """The synapses of a path that end in one unit, summed by the channel they come from.

    Attributes:
        layer, unit: the unit they end in.
        channels: (M,) ids of the channels of the layer's input (elements, for a linear layer), largest sum of
            absolute contributions first.
        synapses: (M,) how many of the path's synapses come from each.
        contributions: (M,) Σ c_k of them, c_k = sign(z)·w_k·x_k (definitions 2): what they add in the direction of
            the neurons they explain.
        n_synapses: of the path into the unit, in all.
    """

    layer: str
    unit: int
    channels: npt.NDArray[np.int64]
    synapses: npt.NDArray[np.int64]
    contributions: npt.NDArray[np.float64]
    n_synapses: int


def incoming(extractor: EffectivePath, image: torch.Tensor, path: Path, layer: str, unit: int) -> Incoming:
    """What flows into a unit along the path of an image.

    Args:
        extractor: that extracted the path.
        image: (C, H, W) float in [0, 1].
        path: of this image.
        layer: name of one of its layers.
        unit: channel of a convolution's output, or element of a linear layer's.

    Raises:
        InvalidInputError: for a layer or unit that the path does not have.
    """
    network = extractor.network((int(image.shape[0]), int(image.shape[1]), int(image.shape[2])))
    operation = next((op for op in network.operations.values() if op.name == layer and op.layer is not None), None)
    if operation is None or operation.layer is None or layer not in path.layers:
        raise InvalidInputError(f"layer: expected one of {', '.join(path.layers)}; got {layer!r}.")
    shape = operation.layer.shape
    if not 0 <= unit < shape.out_channels:
        raise InvalidInputError(f"{layer}: expected units 0 to {shape.out_channels - 1}; got {unit}.")
    activations = extractor.record(image[None])
    inputs = activations[operation.inputs[0]][0].reshape(network.operations[operation.inputs[0]].shape)
    outputs = activations[operation.node][0].reshape(-1)
    neurons, offsets = np.divmod(path.synapses[layer], shape.receptive_field)
    own = neurons // (shape.out_height * shape.out_width) == unit
    neurons, offsets = neurons[own], offsets[own]
    channels, values = _inputs_of(operation.layer, inputs, neurons, offsets)
    kernel = operation.layer.weight.float().cpu().numpy()[unit].reshape(-1)
    sign = np.where(outputs[neurons] < 0, -1.0, 1.0)
    contributions = sign * kernel[offsets].astype(np.float64) * values
    found, place = np.unique(channels, return_inverse=True)
    sums = np.bincount(place, contributions, minlength=len(found))
    order = np.argsort(-np.abs(sums), kind="stable")
    counts = np.bincount(place, minlength=len(found))
    return Incoming(layer, unit, found[order], counts[order], sums[order].astype(np.float64), len(neurons))


def _inputs_of(
    layer: Layer, inputs: npt.NDArray[np.float32], neurons: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The input channel and value of each synapse."""
    shape = layer.shape
    if layer.is_linear:
        return offsets, inputs.reshape(-1)[offsets]
    out_channel, position = np.divmod(neurons, shape.out_height * shape.out_width)
    y, x = np.divmod(position, shape.out_width)
    c, within = np.divmod(offsets, shape.kernel_height * shape.kernel_width)
    i, j = np.divmod(within, shape.kernel_width)
    group = out_channel // (shape.out_channels // shape.groups)
    channels = group * shape.in_channels_per_group + c
    rows = y * layer.stride[0] - layer.offset[0] + i * layer.dilation[0]
    columns = x * layer.stride[1] - layer.offset[1] + j * layer.dilation[1]
    return channels, inputs[channels, rows, columns]
