"""What travels between processes, small: images as 8 bits, sets of ids as the steps between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from engine.network.operations import LayerShape
from engine.paths.path import Path

Steps = tuple[np.ndarray, ...]


def pack_images(images: torch.Tensor) -> npt.NDArray[np.generic]:
    """Images as an array: uint8, a quarter of the size, where that loses nothing; else as they are.

    Args:
        images: (N, C, H, W) float in [0, 1], on the CPU.
    """
    bits = images.mul(255.0).round_().to(torch.uint8)
    lossless = images.dtype == torch.float32 and torch.equal(_from_bits(bits), images)
    packed: npt.NDArray[np.generic] = (bits if lossless else images.contiguous()).numpy()
    return packed


def unpack_images(packed: npt.NDArray[np.generic]) -> torch.Tensor:
    """The images that :func:`pack_images` packed, to the last bit."""
    images = torch.from_numpy(np.array(packed))  # a copy: what came over a wire may be read-only, which torch warns of
    return _from_bits(images) if images.dtype == torch.uint8 else images


def _from_bits(bits: torch.Tensor) -> torch.Tensor:
    return bits.to(torch.float32).div_(255.0)  # as data sets convert their pixels


@dataclass(frozen=True, slots=True)
class PackedPaths:
    """Paths over the same layers, in a form that pickles to about one byte an id.

    Weights are left out: the synapses tell them.

    Attributes:
        layers: names, in execution order.
        shapes: geometry of each layer.
        theta: of the extraction.
        starts: of each path, its rank and its target.
        synapses, neurons: of each path and layer, the differences between its ids, in the smallest unsigned type.
    """

    layers: tuple[str, ...]
    shapes: Mapping[str, LayerShape]
    theta: float
    starts: tuple[tuple[int | None, int | None], ...]
    synapses: tuple[Steps, ...]
    neurons: tuple[Steps, ...]


def pack_paths(paths: Sequence[Path]) -> PackedPaths:
    """Packs one or more paths over the same layers."""
    first = paths[0]
    return PackedPaths(
        first.layers,
        dict(first.shapes),  # a read-only view would not pickle
        first.theta,
        tuple((path.rank, path.target) for path in paths),
        tuple(_steps(path.synapses[name] for name in path.layers) for path in paths),
        tuple(_steps(path.neurons[name] for name in path.layers) for path in paths),
    )


def unpack_paths(packed: PackedPaths) -> tuple[Path, ...]:
    """The paths that :func:`pack_paths` packed."""

    def ids(steps: Steps) -> dict[str, np.ndarray]:
        return {name: np.cumsum(each, dtype=np.int64) for name, each in zip(packed.layers, steps, strict=True)}

    paths = []
    for (rank, target), synapse_steps, neuron_steps in zip(packed.starts, packed.synapses, packed.neurons, strict=True):
        synapses = ids(synapse_steps)
        weights = {name: packed.shapes[name].weight_ids(here) for name, here in synapses.items()}
        path = Path(packed.layers, synapses, weights, ids(neuron_steps), packed.shapes, packed.theta, rank, target)
        paths.append(path)
    return tuple(paths)


def _steps(sets: Iterable[np.ndarray]) -> Steps:
    steps = (np.diff(ids, prepend=0) for ids in sets)
    return tuple(each.astype(np.min_scalar_type(each.max(initial=0))) for each in steps)
