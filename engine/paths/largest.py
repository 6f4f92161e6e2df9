"""The fewest largest of a list of numbers that reach a sum: what definitions 2 asks of every active neuron."""

from __future__ import annotations

import numpy as np

from engine.paths.compiled import compiled

#: A prefix reaches θ·s when it comes within this relative distance of it: the sums of one set of numbers in two orders
#: differ by rounding, and at θ = 1 that must not cost or save a synapse.
TOLERANCE = 1e-12
#: From so many numbers on a heap is faster than looking through them again for each that is taken.
FEW = 64


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


@compiled()
def mark_largest(values, size, reached, threshold, marks):  # type: ignore[no-untyped-def]
    """Marks the fewest of the first ``size`` values that, with ``reached``, reach ``threshold``, or all positive ones.

    Values that are marked already, whose sum is ``reached``, are passed over. Ties take the lower place. ``values`` is
    overwritten.
    """
    if size <= FEW:
        for m in range(size):
            values[m] = -1.0 if marks[m] else values[m]
        while reached < threshold:
            best, place = 0.0, -1
            for m in range(size):
                if values[m] > best:
                    best, place = values[m], m
            if place < 0:
                return
            values[place] = -1.0
            marks[place] = 1
            reached += best
        return
    rest, places, left = np.empty(size, np.float64), np.empty(size, np.int32), 0
    for m in range(size):
        if not marks[m] and values[m] > 0:
            rest[left] = values[m]
            places[left] = m
            left += 1
    if reached < threshold:
        taken = select_largest(rest, places, left, reached, threshold)
        for m in places[left - taken : left]:
            marks[m] = 1
