"""The rules of poolings and of sums of two maps (definitions 2), compiled: they mark inputs, they have no synapses."""

from __future__ import annotations

import numpy as np

from engine.paths.compiled import compiled
from engine.paths.largest import TOLERANCE, select_largest


@compiled()
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
                    taken = select_largest(values, keys, size, 0.0, theta * total * (1 - TOLERANCE))
                    for k in keys[size - taken : size]:
                        input_active[n, c * in_size + k] = True
                elif best >= 0:
                    input_active[n, c * in_size + best] = True


@compiled()
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
