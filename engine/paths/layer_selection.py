"""Selects the synapses of one layer for a batch of images, on as many threads as torch uses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import numpy as np
import numpy.typing as npt
import torch

from engine.network.operations import Layer
from engine.paths.layer_kernel import in_order_of_neurons, select_rows

#: Contributions to look at that are worth another thread.
WORTH_A_THREAD = 500_000
#: Parts a thread gets one after another, so that an unlucky one does not wait for its neighbour.
PARTS = 4


class Threads:
    """Splits work over threads that start when the first large piece comes and end with the block."""

    def __init__(self) -> None:
        """No thread is started yet."""
        self.count = torch.get_num_threads()
        self._executor: ThreadPoolExecutor | None = None

    def __enter__(self) -> Threads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def executor(self) -> ThreadPoolExecutor:
        """The threads, started now at the latest."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self.count)
        return self._executor


def select_in_layer(
    layer: Layer,
    inputs: npt.NDArray[np.float32],
    outputs: npt.NDArray[np.float32],
    active: npt.NDArray[np.bool_],
    theta: float,
    input_active: npt.NDArray[np.bool_],
    threads: Threads,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The synapses of every active neuron.

    Args:
        layer: a convolution or linear layer.
        inputs: (N, C, H, W) or (N, C), what the layer read.
        outputs: (N, O, OH, OW) or (N, O), its pre-activation values.
        active: (N, O·OH·OW).
        theta: share of the sum to reach.
        input_active: (N, C·H·W), set where a selected synapse begins.
        threads: to share the work among.

    Returns:
        Synapse ids of all images, ascending within each, and (N + 1,) where each image's begin.
    """
    shape = layer.shape
    n_images, positions, field = len(inputs), shape.out_height * shape.out_width, shape.receptive_field
    by_position = active.reshape(n_images, shape.out_channels, positions).transpose(0, 2, 1)
    rows = np.flatnonzero(np.ascontiguousarray(by_position))
    height, width = (1, 1) if layer.is_linear else inputs.shape[2:]
    kernel = np.indices((shape.in_channels_per_group, shape.kernel_height, shape.kernel_width)).reshape(3, -1)
    offsets = (kernel[0] * height + kernel[1] * layer.dilation[0]) * width + kernel[2] * layer.dilation[1]
    geometry = (height, width, shape.kernel_height, shape.kernel_width, *layer.dilation)
    weight = layer.weight.float().cpu().numpy().reshape(shape.out_channels, field)
    flat_inputs, flat_outputs = inputs.reshape(n_images, -1), outputs.reshape(n_images, -1)

    def select(part: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        keys, counts = select_rows(
            part, flat_inputs, flat_outputs, weight, offsets, geometry, layer.stride, layer.offset,
            shape.out_width, shape.groups, theta, input_active,
        )  # fmt: skip
        return keys, counts

    if threads.count == 1 or len(rows) * field < WORTH_A_THREAD:
        keys, counts = select(rows)
    else:
        found = list(threads.executor().map(select, np.array_split(rows, threads.count * PARTS)))
        keys = np.concatenate([keys for keys, _ in found])
        counts = np.concatenate([counts for _, counts in found])
    synapses, begins = in_order_of_neurons(rows, keys, counts, n_images, positions, shape.out_channels, field)
    return synapses, begins
