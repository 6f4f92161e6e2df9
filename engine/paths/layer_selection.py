"""Selects the synapses of one layer for a batch of images, on as many threads as torch uses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from types import TracebackType
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from engine.network.operations import Layer
from engine.paths.layer_kernel import in_order_of_neurons, rows_of, select_rows

#: Contributions to look at that are worth another thread.
WORTH_A_THREAD = 500_000
#: Patches of neighbouring positions that are kept at hand, while each channel's weights are read once for all of them:
#: what a core's own cache holds beside these weights, and no more positions than that.
TILE_BYTES = 256 << 10
TILE_POSITIONS = 64
#: Parts a thread gets one after another, so that an unlucky one does not wait for its neighbour.
PARTS = 4


Synapses = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
P = TypeVar("P")
T = TypeVar("T")


class Threads:
    """Splits work over threads that start when the first large piece comes and end with the block."""

    def __init__(self, count: int | None = None) -> None:
        """No thread is started yet; there will be ``count``, or as many as torch uses."""
        self.count = count or torch.get_num_threads()
        self._executor: ThreadPoolExecutor | None = None

    def __enter__(self) -> Threads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

    def each(self, work: Callable[[P], T], parts: Sequence[P]) -> list[T]:
        """The results of all parts, in their order; this thread works too, and who is free takes the next."""
        if self.count == 1:
            return [work(part) for part in parts]
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self.count - 1)
        waiting = deque(enumerate(parts))
        results: dict[int, T] = {}

        def take() -> None:
            while True:
                try:
                    index, part = waiting.popleft()
                except IndexError:  # another has taken the last
                    return
                try:
                    results[index] = work(part)
                except BaseException:
                    waiting.clear()
                    raise

        helpers = [self._executor.submit(take) for _ in range(self.count - 1)]
        try:
            take()
        finally:
            for helper in helpers:
                if not helper.cancel():  # one that is still at something else has nothing left to do
                    helper.result()
        return [results[index] for index in range(len(parts))]

    def later(self, work: Callable[[], T]) -> Callable[[], T]:
        """Does the work beside what follows, if threads were started; gives what returns or raises its result."""
        if self._executor is not None:
            return self._executor.submit(work).result
        result = work()
        return lambda: result


def select_in_layer(
    layer: Layer,
    inputs: npt.NDArray[np.float32],
    outputs: npt.NDArray[np.float32],
    active: npt.NDArray[np.bool_],
    theta: float,
    input_active: npt.NDArray[np.bool_],
    threads: Threads,
) -> Callable[[], Synapses]:
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
        What gives, when called, the synapse ids of all images, ascending within each, and (N + 1,) where each image's
        begin. They are put in order while the layers before this one are selected, which need ``input_active`` alone.
    """
    shape = layer.shape
    n_images, positions, field = len(inputs), shape.out_height * shape.out_width, shape.receptive_field
    tile = _tile(field)
    fields, channels = rows_of(np.flatnonzero(active), n_images, shape.out_channels, positions, tile)
    height, width = (1, 1) if layer.is_linear else inputs.shape[2:]
    kernel = np.indices((shape.in_channels_per_group, shape.kernel_height, shape.kernel_width)).reshape(3, -1)
    offsets = (kernel[0] * height + kernel[1] * layer.dilation[0]) * width + kernel[2] * layer.dilation[1]
    geometry = (height, width, shape.kernel_height, shape.kernel_width, *layer.dilation)
    weight = layer.weight.float().cpu().numpy().reshape(shape.out_channels, field)
    flat_inputs, flat_outputs = inputs.reshape(n_images, -1), outputs.reshape(n_images, -1)

    def select(part: slice) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        keys, counts = select_rows(
            fields[part], channels[part], flat_inputs, flat_outputs, weight, offsets, geometry, layer.stride,
            layer.offset, shape.out_width, shape.groups, theta, input_active, tile,
        )  # fmt: skip
        return keys, counts

    if threads.count == 1 or len(fields) * field < WORTH_A_THREAD:
        found = [select(slice(None))]
    else:
        ends = np.linspace(0, len(fields), threads.count * PARTS + 1).astype(int).tolist()
        found = threads.each(select, [slice(*pair) for pair in pairwise(ends)])

    def in_order() -> Synapses:
        keys, counts = (np.concatenate(each) for each in zip(*found, strict=True))
        synapses, begins = in_order_of_neurons(
            fields, channels, keys, counts, n_images, positions, shape.out_channels, field
        )
        return synapses, begins

    return threads.later(in_order)


def _tile(field: int) -> int:
    """How many patches of that many float32 are kept, a power of two."""
    most = max(1, min(TILE_BYTES // (4 * field), TILE_POSITIONS))
    return 1 << (most.bit_length() - 1)
