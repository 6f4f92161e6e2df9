"""Light paths with the attributes the figures read."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shape:
    out_channels: int
    out_height: int
    out_width: int
    in_channels_per_group: int
    kernel_height: int
    kernel_width: int
    groups: int = 1

    @property
    def synapse_count(self) -> int:
        fan_in = self.in_channels_per_group * self.kernel_height * self.kernel_width
        return self.out_channels * self.out_height * self.out_width * fan_in


@dataclass(frozen=True)
class HandPath:
    layers: tuple[str, ...]
    synapses: Mapping[str, np.ndarray]
    shapes: Mapping[str, Shape]


def linear(outputs: int, inputs: int) -> Shape:
    return Shape(outputs, 1, 1, inputs, 1, 1)


LENET = {
    "conv1": Shape(6, 28, 28, 1, 5, 5),
    "conv2": Shape(16, 10, 10, 6, 5, 5),
    "fc1": linear(120, 400),
    "fc2": linear(84, 120),
    "fc3": linear(10, 84),
}


def path_of(shapes: Mapping[str, Shape], synapses: Mapping[str, list[int]]) -> HandPath:
    return HandPath(tuple(shapes), {name: np.array(ids, dtype=np.int64) for name, ids in synapses.items()}, shapes)


def random_path(shapes: Mapping[str, Shape], sizes: list[int], seed: int) -> HandPath:
    generator = np.random.default_rng(seed)
    synapses = {
        name: np.unique(generator.integers(0, shape.synapse_count, size))
        for (name, shape), size in zip(shapes.items(), sizes, strict=True)
    }
    return HandPath(tuple(shapes), synapses, shapes)
