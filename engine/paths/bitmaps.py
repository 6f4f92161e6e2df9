"""Sets of ids as roaring bitmaps: small, united and intersected without unpacking (Lemire et al. 2018)."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from pyroaring import BitMap, BitMap64

from engine.errors import InvalidInputError
from engine.network.operations import LayerShape


class Bitmap(Protocol):
    """What the bitmaps of 32-bit and of 64-bit ids have in common; the two kinds do not mix."""

    def __len__(self) -> int:
        """Number of ids."""

    def __or__(self, other: Any) -> Any:
        """The union, as a bitmap of its own."""

    def __and__(self, other: Any) -> Any:
        """What both have, as a bitmap of its own."""

    def intersection_cardinality(self, other: Any) -> int:
        """Number of ids in both."""

    def serialize(self) -> bytes:
        """Bytes in the portable roaring format."""

    def to_array(self) -> array[int]:
        """The ids in ascending order."""


def is_wide(space: int) -> bool:
    """Whether ids below ``space`` need the slower bitmaps of 64-bit ids."""
    return space > 1 << 32


def bitmap_of(ids: np.ndarray, wide: bool) -> Bitmap:
    """The bitmap of int64 ids in any order.

    Raises:
        InvalidInputError: if an id does not fit.
    """
    limit = 1 << (63 if wide else 32)
    if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < limit:
        raise InvalidInputError(f"ids: expected them in [0, {limit}); got {int(ids.min())} to {int(ids.max())}.")
    # Only arrays of the standard library are read as memory; any other sequence, element by element.
    plain = array("Q" if wide else "I")
    plain.frombytes(ids.astype(np.uint64 if wide else np.uint32).view(np.uint8).data)
    return BitMap64(plain, optimize=False) if wide else BitMap(plain, optimize=False)  # ids of paths have no runs


def ids_of(bitmap: Bitmap) -> np.ndarray:
    """The sorted int64 ids of a bitmap."""
    return np.asarray(bitmap.to_array()).astype(np.int64)


def read_bitmap(data: memoryview, wide: bool) -> Bitmap:
    """The bitmap that was serialized to these bytes.

    Raises:
        ValueError: for bytes that are no bitmap.
    """
    kind: Any = BitMap64 if wide else BitMap  # its declaration says bytes, it takes any memory
    bitmap: Bitmap = kind.deserialize(data)
    return bitmap


class RoaringSet:
    """A growing set of ids."""

    def __init__(self, space: int) -> None:
        """Starts empty; ids will be below ``space``."""
        self._wide = is_wide(space)
        self._bitmap: Any = bitmap_of(np.empty(0, np.int64), self._wide)
        self._is_lent = False

    def add(self, ids: np.ndarray) -> None:
        """Adds ids in any order."""
        self.add_bitmap(bitmap_of(ids, self._wide))

    def add_bitmap(self, bitmap: Bitmap) -> None:
        """Adds the ids of a bitmap of the same kind."""
        if self._is_lent:
            self._bitmap, self._is_lent = self._bitmap | bitmap, False
        else:
            self._bitmap |= bitmap

    def __len__(self) -> int:
        """Number of ids so far."""
        return len(self._bitmap)

    def ids(self) -> np.ndarray:
        """The sorted int64 ids so far."""
        return ids_of(self._bitmap)

    def bitmap(self) -> Bitmap:
        """The ids so far; what is added later does not change it."""
        self._is_lent = True
        bitmap: Bitmap = self._bitmap
        return bitmap


@dataclass(frozen=True, slots=True, eq=False)
class BitmapIds(Mapping[str, np.ndarray]):
    """Ids by layer that are unpacked each time a layer is asked for, and counted without unpacking.

    Attributes:
        bitmaps: by layer; may themselves be read when asked for.
    """

    bitmaps: Mapping[str, Bitmap]

    def __getitem__(self, layer: str) -> np.ndarray:
        """The layer's sorted int64 ids."""
        return ids_of(self.bitmaps[layer])

    def __iter__(self) -> Iterator[str]:
        return iter(self.bitmaps)

    def __len__(self) -> int:
        return len(self.bitmaps)

    def n_ids(self, layer: str) -> int:
        """Number of ids in a layer."""
        return len(self.bitmaps[layer])

    def n_common(self, other: Mapping[str, np.ndarray], layer: str) -> int:
        """Number of ids that others of the same layer have in common with these."""
        mine = self.bitmaps[layer]
        if isinstance(other, BitmapIds):
            return mine.intersection_cardinality(other.bitmaps[layer])
        return mine.intersection_cardinality(bitmap_of(other[layer], isinstance(mine, BitMap64)))


@dataclass(frozen=True, slots=True, eq=False)
class DerivedWeights(Mapping[str, np.ndarray]):
    """The weights of a path by layer, worked out from its synapses when asked for (definitions 1).

    Attributes:
        synapses: sorted int64 ids by layer.
        shapes: geometry of each layer.
    """

    synapses: Mapping[str, np.ndarray]
    shapes: Mapping[str, LayerShape]

    def __getitem__(self, layer: str) -> np.ndarray:
        """The layer's sorted int64 weight ids."""
        return self.shapes[layer].weight_ids(self.synapses[layer])

    def __iter__(self) -> Iterator[str]:
        return iter(self.synapses)

    def __len__(self) -> int:
        return len(self.synapses)
