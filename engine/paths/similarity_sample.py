"""Similarities of every two class paths: counted for few classes, estimated from one random sample for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.errors import InvalidInputError
from engine.paths.bitmaps import Bitmap, bitmap_of, ids_of, is_wide
from engine.progress import Progress

#: Synapse ids that are drawn unless told otherwise, of all layers together.
DRAWN = 1 << 24
# Draws that lie on class paths, of all classes together (four bytes each); with more, the sample is halved.
_HELD = 1 << 25
# So many draws on a union of two classes bring the standard error of any J to 0.005; more only cost time.
_ENOUGH = 10_000
_BLOCK = 1 << 13  # draws multiplied at once; their number stays exact in float32


@dataclass(frozen=True, slots=True, eq=False)
class Similarities:
    """J of every two of some class paths.

    Attributes:
        matrix: (K, K) float64, 1 on the diagonal; NaN for two empty paths.
        drawn: how many synapse ids they were estimated from; None if they are exact.
        standard_error: the largest of those off the diagonal; 0 if they are exact.
    """

    matrix: np.ndarray
    drawn: int | None
    standard_error: float


class Comparison(Protocol):
    """Compares every two of the class paths that are added one after the other."""

    def add(self, bitmaps: Sequence[Bitmap]) -> None:
        """Adds the synapses of the next class, a bitmap a layer."""

    def result(self, totals: np.ndarray, progress: Progress) -> Similarities:
        """What they share; ``totals`` are the (K,) numbers of their synapses."""


class EveryPair:
    """Counts what two classes share, of every two; keeps all of their synapses in memory until the end."""

    def __init__(self) -> None:
        """Starts without classes."""
        self._kept: list[Sequence[Bitmap]] = []
        self._common: list[list[int]] = []

    def add(self, bitmaps: Sequence[Bitmap]) -> None:
        """As :meth:`Comparison.add`."""
        self._common.append([_n_common(bitmaps, earlier) for earlier in self._kept])
        self._kept.append(bitmaps)

    def result(self, totals: np.ndarray, progress: Progress) -> Similarities:
        """As :meth:`Comparison.result`."""
        both = np.diag(totals).astype(np.int64)
        for place, common in enumerate(self._common):
            both[place, :place] = both[:place, place] = common
        return Similarities(_jaccard(both, totals), None, 0.0)


class SimilaritySample:
    """Estimates J of every two classes from synapse ids that are drawn once for all of them.

    The ids are drawn from those of all layers together, uniformly and without replacement. Of the draws on Sa ∪ Sb, the
    share on Sa ∩ Sb estimates J(a, b), as in Broder (1997, On the resemblance and containment of documents), who keeps
    of every set the elements on one fixed part of all. Ids on padding are in no path: drawing them changes nothing.

    With n draws on the union, k of them shared, of a sample that is the part f of all ids, the standard error is
    √(p(1 − p)/(n + 3) · (1 − f)) with p = (k + 1)/(n + 2): the usual √(J(1 − J)/n), and not 0 where n is small and all
    draws, or none, are shared.
    """

    def __init__(self, spaces: Mapping[str, int], drawn: int, seed: int) -> None:
        """Draws the ids.

        Args:
            spaces: number of synapse ids of each layer, in the order in which layers will come.
            drawn: how many ids to draw; all, if there are no more: J is then exact. Fewer are used where the classes
                have so many of them that fewer are enough, or that they would fill the memory.
            seed: of the draw.

        Raises:
            InvalidInputError: for a number of draws out of range.
        """
        if not 1 <= drawn < 1 << 30:
            raise InvalidInputError(f"drawn: expected a number of synapse ids in [1, {1 << 30}); got {drawn}.")
        self._n_ids = sum(spaces.values())
        self._limit = min(drawn, self._n_ids)  # draws are numbered in their order; those from here on are not used
        ids, numbers = draw(self._n_ids, self._limit, np.random.default_rng(seed))
        self._layers: list[_LayerDraws] = []
        begin = 0
        for space in spaces.values():
            first, last = np.searchsorted(ids, (begin, begin + space))
            self._layers.append(_LayerDraws.of(ids[first:last] - begin, numbers[first:last], is_wide(space)))
            begin += space
        self._members: list[np.ndarray] = []

    def add(self, bitmaps: Sequence[Bitmap]) -> None:
        """As :meth:`Comparison.add`."""
        found = [draws.within(bitmap) for draws, bitmap in zip(self._layers, bitmaps, strict=True)]
        self._members.append(np.sort(np.concatenate(found)))
        while self._limit > 1 and sum(map(len, self._members)) > _HELD:
            self._use(self._limit // 2)
            self._layers = [draws.below(self._limit) for draws in self._layers]

    def result(self, totals: np.ndarray, progress: Progress) -> Similarities:
        """As :meth:`Comparison.result`."""
        if self._limit < self._n_ids:
            self._use(self._enough())
        drawn = np.array([len(members) for members in self._members], np.int64)
        both = self._common(progress)
        np.fill_diagonal(both, drawn)
        matrix = _jaccard(both, drawn)
        if self._limit == self._n_ids:
            return Similarities(matrix, None, 0.0)
        matrix[np.isnan(matrix)] = 0.0  # nothing was drawn of either
        empty = totals == 0
        matrix[np.ix_(empty, empty)] = np.nan
        np.fill_diagonal(matrix, 1.0)
        return Similarities(matrix, self._limit, self._largest_error(both, drawn, empty))

    def _use(self, limit: int) -> None:
        """Forgets the draws from a number on."""
        self._limit = limit
        self._members = [members[: np.searchsorted(members, limit)].copy() for members in self._members]

    def _enough(self) -> int:
        """How many draws are enough for the smallest union: it holds the second smallest class, or one as large."""
        sizes = np.sort([len(members) for members in self._members])
        least = int(sizes[1]) if len(sizes) > 1 else 0
        return self._limit if least <= _ENOUGH else -(-self._limit * _ENOUGH // least)

    def _common(self, progress: Progress) -> np.ndarray:
        """(K, K) int64: draws on both of two classes; the diagonal does not count those of one class alone."""
        classes = np.zeros(self._limit, np.int32)
        for members in self._members:
            classes[members] += 1
        shared = classes > 1
        columns = np.cumsum(shared, dtype=np.int32) - 1
        rows = [columns[members[shared[members]]] for members in self._members]
        n_columns = int(np.count_nonzero(shared))
        both = np.zeros((len(rows), len(rows)))
        for begin in range(0, n_columns, _BLOCK):
            block = np.zeros((len(rows), min(_BLOCK, n_columns - begin)), np.float32)
            for row, found in zip(block, rows, strict=True):
                first, last = np.searchsorted(found, (begin, begin + _BLOCK))
                row[found[first:last] - begin] = 1.0
            both += block @ block.T
            end = min(begin + _BLOCK, n_columns)
            progress(end / n_columns, f"{end:,} of {n_columns:,} draws")
        return both.astype(np.int64)

    def _largest_error(self, both: np.ndarray, drawn: np.ndarray, empty: np.ndarray) -> float:
        n = drawn[:, None] + drawn - both
        p = (both + 1) / (n + 2)
        variances = p * (1 - p) / (n + 3) * (1 - self._limit / self._n_ids)
        exact = np.eye(len(both), dtype=bool) | empty[:, None] | empty  # J with an empty path is 0 or none
        return float(np.sqrt(variances[~exact].max(initial=0.0)))


@dataclass(frozen=True, slots=True, eq=False)
class _LayerDraws:
    """The drawn ids of a layer.

    Attributes:
        ids: (n,) int64, sorted.
        numbers: (n,) int32, which draw each was.
        bitmap: the ids once more.
        wide: whether bitmaps of the layer have 64-bit ids.
    """

    ids: np.ndarray
    numbers: np.ndarray
    bitmap: Bitmap
    wide: bool

    @staticmethod
    def of(ids: np.ndarray, numbers: np.ndarray, wide: bool) -> _LayerDraws:
        """From sorted ids."""
        return _LayerDraws(ids, numbers, bitmap_of(ids, wide), wide)

    def below(self, limit: int) -> _LayerDraws:
        """Those drawn before a number."""
        kept = self.numbers < limit
        return _LayerDraws.of(self.ids[kept], self.numbers[kept], self.wide)

    def within(self, bitmap: Bitmap) -> np.ndarray:
        """Which draws are ids of a bitmap."""
        return self.numbers[np.searchsorted(self.ids, ids_of(bitmap & self.bitmap))]


def draw(n: int, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws numbers below n without replacement, all equally likely.

    Returns:
        (size,) int64, the numbers in ascending order; and (size,) int32, the place of each in a random order.
    """
    ids = np.arange(n) if n <= 2 * size else _distinct(n, size, rng)
    places = np.arange(len(ids), dtype=np.int32)
    rng.shuffle(places)
    kept = places < size
    return ids[kept], places[kept]


def _distinct(n: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Sorted: at least ``size`` different numbers below n. Of their number, all sets are equally likely."""
    ids = np.empty(0, np.int64)
    while (missing := size - len(ids)) > 0:  # n itself may not fit the memory
        more = 16 - int(1.01 * n * np.log1p(-missing / n))  # so many are needed, as numbers may come again
        ids = np.concatenate([ids, rng.integers(n, size=more)])
        ids.sort()
        ids = ids[np.append(True, ids[1:] != ids[:-1])]
    return ids


def _n_common(mine: Sequence[Bitmap], theirs: Sequence[Bitmap]) -> int:
    return sum(one.intersection_cardinality(other) for one, other in zip(mine, theirs, strict=True))


def _jaccard(both: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """|A ∩ B| / |A ∪ B| of every two from what they share, 1 on the diagonal; NaN for two empty sets."""
    either = totals[:, None] + totals - both
    matrix = np.full(both.shape, np.nan)
    np.divide(both, either, out=matrix, where=either > 0)
    np.fill_diagonal(matrix, 1.0)
    return matrix
