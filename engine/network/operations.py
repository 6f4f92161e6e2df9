"""What a traced model consists of: operations, their shapes, and how output elements depend on input elements."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch

# Marking each element of a kernel is faster than sorting, unless the ids are this much fewer.
_MARKED_PER_ID = 50


class Kind(Enum):
    """The rule by which a path passes an operation backwards (definitions 2)."""

    INPUT = "input"
    LAYER = "layer"
    MAX_POOL = "max pool"
    AVERAGE_POOL = "average pool"
    ADD = "add"
    ROUTE = "route"
    SAME_POSITION = "same position"


@dataclass(frozen=True, slots=True)
class LayerShape:
    """The geometry of one weighted layer; a linear layer is a 1×1 convolution on a 1×1 map.

    Attributes:
        out_channels, out_height, out_width: shape of the output.
        in_channels_per_group, kernel_height, kernel_width: shape of one output channel's kernel.
        groups: number of convolution groups.
        n_synapses: synapses of the layer, those on padding left out.
    """

    out_channels: int
    out_height: int
    out_width: int
    in_channels_per_group: int
    kernel_height: int
    kernel_width: int
    groups: int
    n_synapses: int

    @property
    def receptive_field(self) -> int:
        """K, the number of kernel elements of one output channel."""
        return self.in_channels_per_group * self.kernel_height * self.kernel_width

    @property
    def n_weights(self) -> int:
        """Elements of the kernel."""
        return self.out_channels * self.receptive_field

    @property
    def n_neurons(self) -> int:
        """Elements of the output."""
        return self.out_channels * self.out_height * self.out_width

    def weight_ids(self, synapses: np.ndarray) -> np.ndarray:
        """The sorted ids of the kernel elements that the given synapses use (definitions 1)."""
        per_channel = self.out_height * self.out_width * self.receptive_field
        if self.out_height * self.out_width == 1:
            return synapses
        # numpy divides by a number much faster than it takes a remainder
        places = synapses - synapses // self.receptive_field * self.receptive_field
        ids = synapses // per_channel * self.receptive_field + places
        if self.n_weights > _MARKED_PER_ID * len(ids):
            return np.unique(ids)
        used = np.zeros(self.n_weights, bool)
        used[ids] = True
        return np.flatnonzero(used)


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution or linear layer, batch norm folded in.

    Attributes:
        weight: (O, C/groups, kh, kw) float tensor.
        bias: (O,) float tensor or None.
        stride, padding, dilation: (vertical, horizontal); padding is that above and to the left.
        is_linear: whether the model applies it as a linear layer.
        shape: its geometry.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None
    stride: tuple[int, int]
    padding: tuple[int, int] | str
    dilation: tuple[int, int]
    is_linear: bool
    shape: LayerShape

    @property
    def offset(self) -> tuple[int, int]:
        """Rows and columns of padding above and to the left of the image."""
        if not isinstance(self.padding, str):
            return self.padding
        if self.padding == "valid":
            return (0, 0)
        kernel = self.weight.shape[2:]
        return (self.dilation[0] * (kernel[0] - 1) // 2, self.dilation[1] * (kernel[1] - 1) // 2)


@dataclass(frozen=True, slots=True)
class Windows:
    """The input positions each output position of a pooling covers, the same for every channel.

    Attributes:
        starts: (out_height·out_width + 1,) int64, where each output position's list begins in ``members``.
        members: input positions y·W + x, ascending within a window, padding left out.
    """

    starts: np.ndarray
    members: np.ndarray


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a model that carries image content.

    Attributes:
        node: unique key of the step in the traced graph.
        name: module path for a layer (``#2`` for its second use); else the node.
        kind: the rule that applies.
        inputs: nodes of the operations its elements come from.
        shape: of the output, without the batch dimension.
        layer, windows, sources: what the kind needs. ``sources`` has one int64 an output element: its position in the
            inputs' elements laid end to end, −1 for padding.
    """

    node: str
    name: str
    kind: Kind
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    layer: Layer | None = None
    windows: Windows | None = None
    sources: np.ndarray | None = None

    @property
    def size(self) -> int:
        """Elements of the output of one image."""
        return int(np.prod(self.shape, dtype=np.int64))
