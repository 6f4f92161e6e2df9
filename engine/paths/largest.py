"""The fewest largest of a list of numbers that reach a sum: what definitions 2 asks of every active neuron."""

from __future__ import annotations

import numpy as np

from engine.paths.compiled import compiled

#: A prefix reaches θ·s when it comes within this relative distance of it: the sums of one set of numbers in two orders
#: differ by rounding, and at θ = 1 that must not cost or save a synapse.
TOLERANCE = 1e-12
#: Up to so many numbers, summing for each those before it is faster than a heap.
FEW = 48


@compiled(inline="always")
def _before(values, keys, a, b):  # type: ignore[no-untyped-def]
    return values[a] > values[b] or (values[a] == values[b] and keys[a] < keys[b])


@compiled()
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


@compiled()
def select_largest(values, keys, size, reached, threshold):  # type: ignore[no-untyped-def]
    """Moves the fewest of the first ``size`` positive values that, with ``reached``, reach ``threshold`` to the end.

    A heap, not a sort: at θ = 0.5 a small part is taken. Ties take the lower key.

    Returns:
        How many were taken; their keys stand in ``keys[size - taken : size]``.
    """
    for root in range(size // 2 - 1, -1, -1):
        _sift_down(values, keys, root, size)
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


@compiled(fastmath={"reassoc"})
def _mark_few(values, size, threshold, error, marks):  # type: ignore[no-untyped-def]
    is_decided = True
    for m in range(size):
        mine, before = values[m], 0.0
        for j in range(size):
            is_before = (values[j] > mine) | ((values[j] == mine) & (j < m))
            before += values[j] if is_before else 0.0
        marks[m] = (mine > 0) & (before < threshold)
        is_decided &= not abs(before - threshold) <= error
    return is_decided


@compiled()
def _mark_many(values, size, high, threshold, error, marks):  # type: ignore[no-untyped-def]
    rest, places, left, reached, least = np.empty(size, np.float64), np.empty(size, np.int32), 0, 0.0, np.inf
    for m in range(size):
        marks[m] = values[m] > high
        if marks[m]:
            reached += values[m]
            least = min(least, values[m])
        elif values[m] > 0:
            rest[left] = values[m]
            places[left] = m
            left += 1
    if reached < threshold:
        taken = select_largest(rest, places, left, reached, threshold)
        for m in range(left - taken, left):
            marks[places[m]] = 1
            reached += rest[m]
            least = rest[left - taken]
    return reached >= threshold + error and reached - least < threshold - error


@compiled(inline="always")
def mark_largest(values, size, high, threshold, error, marks):  # type: ignore[no-untyped-def]
    """Marks the fewest of the first ``size`` values that reach ``threshold``, or all positive ones. Ties take the lower
    place.

    Args:
        values: float64, those in question first.
        size: how many they are.
        high: those above it are too few to reach the threshold.
        threshold: what the marked ones shall come to together.
        error: by how much the threshold may be wrong.
        marks: uint8, overwritten as far.

    Returns:
        Whether the same are marked for every threshold within the error; without meaning for an error of 0.
    """
    if size <= FEW:
        return _mark_few(values, size, threshold, error, marks)
    return _mark_many(values, size, high, threshold, error, marks)
