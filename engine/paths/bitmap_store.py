"""Class paths in one memory-mapped file, of which no more is read than is asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from types import TracebackType

from engine.errors import InvalidInputError
from engine.files import write_atomically
from engine.paths.aggregation import ClassPaths
from engine.paths.bitmap_file import MAGIC, STORED, BitmapFile, Stored, write_bitmaps
from engine.paths.bitmaps import Bitmap, BitmapIds, DerivedWeights
from engine.paths.path import Part, Path

_KEPT_BYTES = 256 << 20  # of the bitmaps asked for last; one class of an AlexNet-size network has about 40 MB


class ClassPathStore:
    """Class paths kept in a file, for networks whose class paths together are too large for memory.

    The layout, all numbers little-endian::

        header   magic, size of the file, place and size of the index, checksums
        bitmaps  by class, by layer, synapses then neurons: portable roaring format; no bytes for an empty set
        index    one entry a bitmap in that order: begin, size, checksum; then JSON: names, counts, θ, layers, shapes

    A bitmap has 32-bit ids where all ids of the layer are below 2³², 64-bit ids elsewhere. Weights are not stored: they
    follow from the synapses. Opening reads the header and the index; a bitmap is read, checked and decoded when it is
    asked for, and those asked for last are kept in memory. Several threads may ask at once. A store may be pickled; the
    copy opens the same file.

    Attributes:
        file: where it is.
        class_names: (K,) names.
        counts: (K,) int64, images merged.
        theta: of the extraction.
        layers: names, in execution order.
        shapes: geometry of each layer.
        extra: the JSON values written beside.
    """

    def __init__(self, file: str | FilePath) -> None:
        """As :meth:`open`."""
        self.file = FilePath(file)
        self._bitmaps = BitmapFile(self.file)
        index = self._bitmaps.index
        self.class_names, self.counts, self.theta = index.class_names, index.counts, index.theta
        self.layers, self.shapes, self.extra = tuple(index.shapes), index.shapes, index.extra
        self._recent = _Recent(_KEPT_BYTES)

    @staticmethod
    def write(file: str | FilePath, class_paths: ClassPaths, extra: Mapping[str, object] | None = None) -> None:
        """Writes class paths, whole or not at all, with JSON values beside them.

        Raises:
            InvalidInputError: for no class at all, or ids out of range.
        """
        if not class_paths.paths:
            raise InvalidInputError("class_paths: expected at least one class to write; got none.")
        write_atomically(FilePath(file), lambda partial: write_bitmaps(partial, class_paths, extra or {}))

    @staticmethod
    def open(file: str | FilePath) -> ClassPathStore:
        """Opens what :meth:`write` wrote, by its index alone.

        Raises:
            InvalidInputError: if the file is absent, shortened, of another kind, or its index damaged.
        """
        return ClassPathStore(file)

    @staticmethod
    def is_at(file: str | FilePath) -> bool:
        """Whether a file begins as a store does; False where none can be read."""
        try:
            with open(file, "rb") as stream:
                return stream.read(len(MAGIC)) == MAGIC
        except OSError:
            return False

    def path(self, label: int) -> Path:
        """The path of a class; the ids of a layer are read from the file each time they are asked for.

        Raises:
            InvalidInputError: for a class that is not there; from the path, where its part of the file is damaged.
        """
        if not 0 <= label < len(self.class_names):
            raise InvalidInputError(f"label: expected a class in [0, {len(self.class_names)}); got {label}.")
        synapses, neurons = (BitmapIds(_Bitmaps(self, part, int(label))) for part in STORED)
        weights = DerivedWeights(synapses, self.shapes)
        start = self._bitmaps.index.starts[label]
        return Path(self.layers, synapses, weights, neurons, self.shapes, self.theta, **start)

    def class_paths(self) -> ClassPaths:
        """All class paths; their ids stay in the file until they are asked for."""
        paths = tuple(self.path(label) for label in range(len(self.class_names)))
        return ClassPaths(self.class_names, paths, self.counts.copy(), self.theta)

    def overlap(self, path: Path, label: int, part: Part = "synapses") -> float:
        """|S ∩ S̃| / |S| of a path with the path of a class, as :meth:`Path.overlap`."""
        return path.overlap(self.path(label), part)

    def overlap_per_layer(self, path: Path, label: int, part: Part = "synapses") -> dict[str, float]:
        """|Sˡ ∩ S̃ˡ| / |Sˡ| of each layer, as :meth:`Path.overlap_per_layer`."""
        return path.overlap_per_layer(self.path(label), part)

    def bitmap(self, part: Stored, layer: str, label: int) -> Bitmap:
        """One set of a class path, not to be changed.

        Raises:
            DamagedFileError: if its bytes in the file are not those that were written.
        """
        key = (part, layer, label)
        known = self._recent.get(key)
        if known is None:
            known = self._bitmaps.read(part, layer, label)
            self._recent.put(key, known, self._bitmaps.size(part, layer, label))
        return known

    def close(self) -> None:
        """Lets the file go; paths that came from here can no longer be read."""
        self._bitmaps.close()

    def __enter__(self) -> ClassPathStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        return ClassPathStore, (self.file,)


@dataclass(frozen=True, slots=True, eq=False)
class _Bitmaps(Mapping[str, Bitmap]):
    """The bitmaps of a class by layer, read when asked for."""

    store: ClassPathStore
    part: Stored
    label: int

    def __getitem__(self, layer: str) -> Bitmap:
        return self.store.bitmap(self.part, layer, self.label)

    def __iter__(self) -> Iterator[str]:
        return iter(self.store.layers)

    def __len__(self) -> int:
        return len(self.store.layers)


class _Recent:
    """The bitmaps asked for last, within a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit, self._size = limit, 0
        self._kept: OrderedDict[tuple[str, str, int], tuple[Bitmap, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str, int]) -> Bitmap | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: tuple[str, str, int], bitmap: Bitmap, size: int) -> None:
        with self._lock:
            if key in self._kept:  # another thread asked for the same
                return
            self._kept[key] = (bitmap, size)
            self._size += size
            while self._size > self._limit:
                self._size -= self._kept.popitem(last=False)[1][1]
