"""Bundles: the synapses of effective paths, counted between pairs of units.

A unit is a channel of a convolution's output, an element of a linear layer's, or a channel of the input. All synapses
of a layer that lead from one unit to another form a bundle. Ids are those of the paths:

    neuron  = (o·H + y)·W + x
    synapse = neuron·K + (c·kh + i)·kw + j        K = C/groups·kh·kw, c counts within the group
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

#: Name of the column left of the first layer.
INPUT: Final = "input"
#: Columns of every `counts` array: synapses of the clean path alone, of the adversarial path alone, of both.
CLEAN, ADVERSARIAL, SHARED = range(3)


class Shape(Protocol):
    """What is read of a layer's shape."""

    out_channels: int
    out_height: int
    out_width: int
    in_channels_per_group: int
    kernel_height: int
    kernel_width: int
    groups: int


class SynapsePath(Protocol):
    """What is read of an effective path."""

    layers: tuple[str, ...]
    synapses: Mapping[str, Ints]
    shapes: Mapping[str, Shape]


@dataclass(frozen=True, slots=True)
class LayerBundles:
    """The bundles that end in one layer."""

    layer: str
    source: str | None  # the layer (or INPUT) that feeds it; None where no earlier layer has fitting units
    in_unit: Ints  # (E,) in units of `source`; in the layer's own input channels where `source` is None
    out_unit: Ints  # (E,)
    counts: Ints  # (E, 3) synapses: clean alone, adversarial alone, both


def layer_bundles(clean: SynapsePath, adversarial: SynapsePath | None) -> list[LayerBundles]:
    """Aggregate the synapses of one path, or of a clean and an adversarial one, into bundles.

    Args:
        clean: the path of the original image.
        adversarial: the path of its adversarial image in the same model, or None.

    Returns:
        One entry per layer of the clean path, in its order.
    """
    nothing = np.empty(0, dtype=np.int64)
    result = []
    for index, layer in enumerate(clean.layers):
        source, elements = feeding_layer(clean.layers, clean.shapes, index)
        ours = np.asarray(clean.synapses[layer], dtype=np.int64)
        theirs = (
            nothing if adversarial is None else np.asarray(adversarial.synapses.get(layer, nothing), dtype=np.int64)
        )
        shape = clean.shapes[layer]
        result.append(LayerBundles(layer, source, *_count(ours, theirs, shape, elements)))
    return result


def feeding_layer(layers: Sequence[str], shapes: Mapping[str, Shape], index: int) -> tuple[str | None, int]:
    """The layer whose outputs a layer reads, judged by unit counts, since paths do not record how layers are wired.

    It is the nearest earlier layer with as many output channels as this layer has inputs. For a linear layer after a
    convolution each channel may have become several elements (flattening what pooling left of it). In residual networks
    this names one of the branches that are added; after a concatenation no layer fits.

    Returns:
        The name (INPUT for the first layer, None where none fits) and the number of inputs per unit of that layer.
    """
    if index == 0:
        return INPUT, 1
    shape = shapes[layers[index]]
    inputs = input_units(shape)
    flat = shape.out_height * shape.out_width * shape.kernel_height * shape.kernel_width == 1
    for name in reversed(layers[:index]):
        earlier = shapes[name]
        elements, rest = divmod(inputs, earlier.out_channels)
        limit = earlier.out_height * earlier.out_width if flat else 1
        if rest == 0 and 1 <= elements <= limit:
            return name, elements
    return None, 1


def input_units(shape: Shape) -> int:
    """Number of input channels of a layer (elements, for a linear layer), over all groups."""
    return shape.groups * shape.in_channels_per_group


def decode(synapses: Ints, shape: Shape, elements: int = 1) -> tuple[Ints, Ints]:
    """The (in unit, out unit) of each synapse id.

    Args:
        synapses: (S,) ids.
        shape: the layer's shape.
        elements: inputs per unit of the feeding layer (more than 1 after flattening).
    """
    area = shape.kernel_height * shape.kernel_width
    fan_in = shape.in_channels_per_group * area
    neuron = synapses // fan_in
    channel = (synapses - neuron * fan_in) // area
    out_unit = neuron // (shape.out_height * shape.out_width)
    group = out_unit // (shape.out_channels // shape.groups)
    return (group * shape.in_channels_per_group + channel) // elements, out_unit


def categories(counts: Ints) -> Ints:
    """(n,) CLEAN, ADVERSARIAL or SHARED for each row of counts.

    SHARED when at least half of the synapses are in both paths, or both paths have as many of their own; else the path
    that has more of its own.
    """
    clean, adversarial, shared = counts.T
    own = np.where(clean > adversarial, CLEAN, ADVERSARIAL)
    return np.where((2 * shared >= counts.sum(axis=1)) | (clean == adversarial), SHARED, own)


def sum_by_unit(units: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Distinct units, ascending, and the (n, 3) sums of their rows of counts."""
    distinct, place = np.unique(units, return_inverse=True)
    sums = np.zeros((len(distinct), 3), dtype=np.int64)
    np.add.at(sums, place, counts)
    return distinct, sums


def _count(ours: Ints, theirs: Ints, shape: Shape, elements: int) -> tuple[Ints, Ints, Ints]:
    """In units, out units and counts of the bundles of two sorted sets of synapses."""
    also_theirs = _contains(theirs, ours)
    only_theirs = theirs[~_contains(ours, theirs)]
    kind = np.concatenate([np.where(also_theirs, SHARED, CLEAN), np.full(len(only_theirs), ADVERSARIAL)])
    in_unit, out_unit = decode(np.concatenate([ours, only_theirs]), shape, elements)
    width = input_units(shape)
    keys, place = np.unique(out_unit * width + in_unit, return_inverse=True)
    counts = np.bincount(place * 3 + kind, minlength=3 * len(keys)).reshape(-1, 3)
    return keys % width, keys // width, counts


def _contains(sorted_ids: Ints, wanted: Ints) -> npt.NDArray[np.bool_]:
    """Which of the wanted ids are in the sorted ids."""
    if len(sorted_ids) == 0:
        return np.zeros(len(wanted), dtype=bool)
    place = np.minimum(np.searchsorted(sorted_ids, wanted), len(sorted_ids) - 1)
    return sorted_ids[place] == wanted
