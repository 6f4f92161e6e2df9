"""Pooling windows as lists of positions, so that every pooling is one rule."""

import numpy as np

from engine.network.operations import Windows

Pair = tuple[int, int]


def as_pair(value: int | tuple[int, ...] | list[int]) -> Pair:
    """An int, or a sequence of one or two, as (vertical, horizontal)."""
    if isinstance(value, int):
        return (value, value)
    return (int(value[0]), int(value[-1]))


def sliding(in_size: Pair, out_size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Windows:
    """Windows of a max or average pooling with the given kernel, (vertical, horizontal) each."""
    spans = []
    for axis in (0, 1):
        begins = np.arange(out_size[axis]) * stride[axis] - padding[axis]
        positions = begins[:, None] + np.arange(kernel[axis]) * dilation[axis]
        spans.append([row[(row >= 0) & (row < in_size[axis])] for row in positions])
    return _combine(spans[0], spans[1], in_size[1])


def adaptive(in_size: Pair, out_size: Pair) -> Windows:
    """Windows of an adaptive pooling: output i covers ⌊i·n/m⌋ … ⌈(i+1)·n/m⌉ − 1, as PyTorch defines it."""
    spans = [
        [np.arange(i * n // m, -((-(i + 1) * n) // m)) for i in range(m)]
        for n, m in zip(in_size, out_size, strict=True)
    ]
    return _combine(spans[0], spans[1], in_size[1])


def _combine(rows: list[np.ndarray], columns: list[np.ndarray], width: int) -> Windows:
    members = [(row[:, None] * width + column[None, :]).ravel() for row in rows for column in columns]
    starts = np.concatenate([[0], np.cumsum([len(window) for window in members])])
    return Windows(starts.astype(np.int64), np.concatenate(members).astype(np.int64))
