"""The selection of definitions 2, compiled: the fewest largest contributions that reach θ of their sum.

All three kernels treat a batch of images at once, release the interpreter lock (so that threads share the work), and
compute contributions and sums in float64. The product of two float32 is exact there, so the sets do not depend on the
processor. A prefix counts as reaching θ·s when it comes within a relative 1e-12 of it: the sums of one set of numbers
in two orders differ by rounding, and at θ = 1 that must not cost or save a synapse.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

log = logging.getLogger(__name__)

TOLERANCE = 1e-12


def _compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """numba's compiler, with the result kept on disk where there is a place for it."""

    def compile_(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:
            if function.__name__ == "select_in_layer":  # once, not for each kernel
                log.warning(
                    "No folder can be written to keep the compiled kernels in; every start compiles them again. "
                    "Set NUMBA_CACHE_DIR to a folder that can."
                )
            return numba.njit(nogil=True, **options)(function)

    return compile_


@_compiled(inline="always")
def _before(values, keys, a, b):  # type: ignore[no-untyped-def]
    return values[a] > values[b] or (values[a] == values[b] and keys[a] < keys[b])


@_compiled()
def _sift_down(values, keys, root, size):  # type: ignore[no-untyped-def]
    while True:
        child = 2 * root + 1
        if child >= size:
            return
        if child + 1 < size and _before(values, keys, child + 1, child):
            child += 1
        if not _before(values, keys, child, root):
            return
        values[root], values[child] = values[child], values[root]
        keys[root], keys[child] = keys[child], keys[root]
        root = child


@_compiled()
def select_largest(values, keys, size, threshold):  # type: ignore[no-untyped-def]
    """Moves the fewest of the first ``size`` positive values whose sum reaches ``threshold`` to the end.

    A heap, not a sort: at θ = 0.5 a small part is taken. Ties take the lower key.

    Returns:
        How many were taken; their keys stand in ``keys[size - taken : size]``.
    """
    for root in range(size // 2 - 1, -1, -1):
        _sift_down(values, keys, root, size)
    reached = 0.0
    left = size
    while left > 0:
        reached += values[0]
        left -= 1
        values[0], values[left] = values[left], values[0]
        keys[0], keys[left] = keys[left], keys[0]
        if reached >= threshold:
            break
        _sift_down(values, keys, 0, left)
    return size - left


@_compiled()
def select_in_layer(  # type: ignore[no-untyped-def]
    inputs, outputs, active, weight, stride, offset, dilation, groups, theta, input_active
):
    """Selects the synapses of every active neuron of a convolution or linear layer.

    Args:
        inputs: (N, C, H, W) float32, what the layer read.
        outputs: (N, O, OH, OW) float32, its pre-activation values.
        active: (N, O·OH·OW) bool.
        weight: (O, C/groups, kh, kw) float32.
        stride, offset, dilation: (vertical, horizontal); offset is the padding above and to the left.
        groups: of the convolution.
        theta: share of the sum to reach.
        input_active: (N, C·H·W) bool, set where a selected synapse begins.

    Returns:
        Synapse ids of all images, ascending within each, and (N + 1,) where each image's begin.
    """
    n_images, _, height, width = inputs.shape
    out_channels, out_height, out_width = outputs.shape[1:]
    in_channels, kernel_height, kernel_width = weight.shape[1:]
    field = in_channels * kernel_height * kernel_width
    values = np.empty(field, np.float64)
    keys = np.empty(field, np.int64)
    found = np.empty(4096, np.int64)
    n_found = 0
    begins = np.zeros(n_images + 1, np.int64)
    per_group = out_channels // groups
    for n in range(n_images):
        neuron = -1
        for o in range(out_channels):
            first_channel = (o // per_group) * in_channels
            for oy in range(out_height):
                for ox in range(out_width):
                    neuron += 1
                    if not active[n, neuron]:
                        continue
                    sign = 1.0 if outputs[n, o, oy, ox] >= 0 else -1.0
                    top, left = oy * stride[0] - offset[0], ox * stride[1] - offset[1]
                    total = 0.0
                    size = 0
                    for c in range(in_channels):
                        for i in range(kernel_height):
                            y = top + i * dilation[0]
                            if y < 0 or y >= height:
                                continue
                            for j in range(kernel_width):
                                x = left + j * dilation[1]
                                if x < 0 or x >= width:
                                    continue
                                value = inputs[n, first_channel + c, y, x]
                                if value == 0:
                                    continue
                                part = sign * np.float64(weight[o, c, i, j]) * np.float64(value)
                                total += part
                                if part > 0:
                                    values[size] = part
                                    keys[size] = (c * kernel_height + i) * kernel_width + j
                                    size += 1
                    if total > 0:
                        taken = select_largest(values, keys, size, theta * total * (1 - TOLERANCE))
                        chosen = keys[size - taken : size]
                        chosen.sort()
                    else:
                        best = _largest(inputs[n], weight[o], first_channel, top, left, dilation, sign)
                        if best < 0:
                            continue
                        keys[0] = best
                        taken = 1
                        chosen = keys[:1]
                    while n_found + taken > len(found):
                        found = np.concatenate((found, np.empty_like(found)))
                    for k in chosen:
                        found[n_found] = neuron * field + k
                        n_found += 1
                        j = k % kernel_width
                        i = (k // kernel_width) % kernel_height
                        c = first_channel + k // (kernel_width * kernel_height)
                        y = top + i * dilation[0]
                        x = left + j * dilation[1]
                        input_active[n, (c * height + y) * width + x] = True
        begins[n + 1] = n_found
    return found[:n_found], begins


@_compiled()
def _largest(image, kernel, first_channel, top, left, dilation, sign):  # type: ignore[no-untyped-def]
    """The lowest k of the largest contribution on the image, zeros included; −1 where the whole field is padding."""
    best_key = -1
    best = 0.0
    channels, kernel_height, kernel_width = kernel.shape
    _, height, width = image.shape
    for c in range(channels):
        for i in range(kernel_height):
            y = top + i * dilation[0]
            if y < 0 or y >= height:
                continue
            for j in range(kernel_width):
                x = left + j * dilation[1]
                if x < 0 or x >= width:
                    continue
                part = sign * np.float64(kernel[c, i, j]) * np.float64(image[first_channel + c, y, x])
                if best_key < 0 or part > best:
                    best = part
                    best_key = (c * kernel_height + i) * kernel_width + j
    return best_key


@_compiled()
def select_in_pool(inputs, outputs, active, starts, members, is_max, theta, input_active):  # type: ignore[no-untyped-def]
    """Marks the inputs of every active output of a pooling.

    Max pooling: every input equal to the maximum. Average pooling: the selection with equal weights.

    Args:
        inputs: (N, C, H·W) float32.
        outputs: (N, C, OH·OW) float32.
        active: (N, C·OH·OW) bool.
        starts, members: the windows, see :class:`engine.network.operations.Windows`.
        is_max: which of the two rules.
        theta: share of the sum to reach.
        input_active: (N, C·H·W) bool, set where an input is selected.
    """
    n_images, channels, in_size = inputs.shape
    out_size = outputs.shape[2]
    longest = 1
    for p in range(out_size):
        longest = max(longest, starts[p + 1] - starts[p])
    values = np.empty(longest, np.float64)
    keys = np.empty(longest, np.int64)
    for n in range(n_images):
        for c in range(channels):
            for p in range(out_size):
                if not active[n, c * out_size + p]:
                    continue
                result = outputs[n, c, p]
                if is_max:
                    for m in range(starts[p], starts[p + 1]):
                        if inputs[n, c, members[m]] == result:
                            input_active[n, c * in_size + members[m]] = True
                    continue
                sign = 1.0 if result >= 0 else -1.0
                total = 0.0
                size = 0
                best = -1
                for m in range(starts[p], starts[p + 1]):
                    part = sign * np.float64(inputs[n, c, members[m]])
                    total += part
                    if best < 0 or part > sign * np.float64(inputs[n, c, best]):
                        best = members[m]
                    if part > 0:
                        values[size] = part
                        keys[size] = members[m]
                        size += 1
                if total > 0:
                    taken = select_largest(values, keys, size, theta * total * (1 - TOLERANCE))
                    for k in keys[size - taken : size]:
                        input_active[n, c * in_size + k] = True
                elif best >= 0:
                    input_active[n, c * in_size + best] = True


@_compiled()
def select_in_sum(first, second, outputs, active, theta, first_active, second_active):  # type: ignore[no-untyped-def]
    """Marks, for every active element of a sum of two maps, the operands that the selection with unit weights takes.

    Args:
        first, second, outputs: (N, M) float32.
        active: (N, M) bool.
        theta: share of the sum to reach.
        first_active, second_active: (N, M) bool, set where an operand is selected.
    """
    n_images, size = outputs.shape
    for n in range(n_images):
        for m in range(size):
            if not active[n, m]:
                continue
            sign = 1.0 if outputs[n, m] >= 0 else -1.0
            a, b = sign * np.float64(first[n, m]), sign * np.float64(second[n, m])
            larger = max(a, b)
            total = a + b
            if total > 0 and larger < theta * total * (1 - TOLERANCE):
                first_active[n, m] = True
                second_active[n, m] = True
            elif a >= b:
                first_active[n, m] = True
            else:
                second_active[n, m] = True
