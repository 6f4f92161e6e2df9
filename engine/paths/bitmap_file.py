"""The file that holds class paths as bitmaps: its layout, written in one go and read piece by piece."""

from __future__ import annotations

import json
import mmap
import struct
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path as FilePath
from typing import BinaryIO, Literal

import numpy as np

from engine.errors import DamagedFileError
from engine.network.operations import LayerShape
from engine.paths.aggregation import ClassPaths, id_space
from engine.paths.bitmaps import Bitmap, BitmapIds, bitmap_of, is_wide, read_bitmap

Stored = Literal["synapses", "neurons"]
STORED: tuple[Stored, ...] = ("synapses", "neurons")

MAGIC = b"\x89ClsPath"
_FORMAT = 1
# Magic; bytes of the file, before the index, of its table, of its text; checksum of the index. Its own comes after it.
_HEADER = struct.Struct("<8sQQQQI")
_CHECKSUM = struct.Struct("<I")
# 64-bit words that a bitmap is added up to before its CRC-32: at the speed of memory, of which it is tens of megabytes.
# A prime: what one block of a disk holds is not added to the same place of another.
_FOLDED = 1021
_ENTRY = np.dtype([("begin", "<u8"), ("size", "<u8"), ("checksum", "<u4")])


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """What a file says of itself without its bitmaps.

    Attributes:
        class_names: (K,) names.
        counts: (K,) int64, images merged.
        theta: of the extraction.
        shapes: geometry of each layer, in execution order.
        starts: (K,) rank and target of each path.
        extra: the JSON values written beside.
        entries: (K, L, 2) begin, size and checksum of each class's, layer's synapses and neurons; size 0 for none.
    """

    class_names: tuple[str, ...]
    counts: np.ndarray
    theta: float
    shapes: Mapping[str, LayerShape]
    starts: tuple[Mapping[str, int | None], ...]
    extra: dict[str, object]
    entries: np.ndarray


class BitmapFile:
    """An open file of class paths; any thread may read.

    Attributes:
        file: where it is.
        index: all but the bitmaps.
    """

    def __init__(self, file: FilePath) -> None:
        """Maps the file and reads its index.

        Raises:
            DamagedFileError: if the file is absent, shortened, of another kind, or its index damaged.
        """
        self.file = file
        try:
            with open(file, "rb") as stream:
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            self.index = _read_index(self._map)
        except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
            raise _damaged(file, error) from error
        self._places = {layer: place for place, layer in enumerate(self.index.shapes)}
        self._is_sound = np.zeros(self.index.entries.shape, bool)  # what was checked once stays as it is

    def size(self, part: Stored, layer: str, label: int) -> int:
        """Bytes of a bitmap."""
        return int(self.index.entries[self._place(part, layer, label)]["size"])

    def read(self, part: Stored, layer: str, label: int) -> Bitmap:
        """Reads a bitmap; checks it the first time.

        Raises:
            DamagedFileError: if its bytes are not those that were written.
        """
        wide = is_wide(_space(part, self.index.shapes[layer]))
        place = self._place(part, layer, label)
        begin, size, checksum = self.index.entries[place].item()
        if not size:
            return bitmap_of(np.empty(0, np.int64), wide)
        try:
            with memoryview(self._map) as whole, whole[begin : begin + size] as data:
                if not self._is_sound[place] and _checksum(data) != checksum:
                    raise ValueError("their checksum is not the one that was written")
                self._is_sound[place] = True
                return read_bitmap(data, wide)
        except (ValueError, IndexError) as error:
            what = f"the {part} of layer {layer} of class {self.index.class_names[label]}: {error}"
            raise _damaged(self.file, what) from error

    def close(self) -> None:
        """Lets the file go; nothing can be read from it any more."""
        self._map.close()

    def _place(self, part: Stored, layer: str, label: int) -> tuple[int, int, int]:
        return label, self._places[layer], STORED.index(part)


def write_bitmaps(file: FilePath, class_paths: ClassPaths, extra: Mapping[str, object]) -> None:
    """Fills a file, bitmap by bitmap: paths that are made when asked for are never in memory together."""
    first = class_paths.paths[0]
    entries = np.zeros((len(class_paths.paths), len(first.layers), len(STORED)), _ENTRY)
    with open(file, "wb") as stream:
        stream.write(bytes(_HEADER.size + _CHECKSUM.size))  # the header comes when all is known
        for label, path in enumerate(class_paths.paths):
            for place, layer in enumerate(first.layers):
                for number, part in enumerate(STORED):
                    wide = is_wide(_space(part, first.shapes[layer]))
                    entries[label, place, number] = _append(stream, getattr(path, part), layer, wide)
        table, text, begin = entries.tobytes(), _about(class_paths, extra), stream.tell()
        stream.write(table + text)
        checksum = zlib.crc32(table + text)
        header = _HEADER.pack(MAGIC, stream.tell(), begin, len(table), len(text), checksum)
        stream.seek(0)
        stream.write(header + _CHECKSUM.pack(zlib.crc32(header)))


def _append(stream: BinaryIO, ids: Mapping[str, np.ndarray], layer: str, wide: bool) -> tuple[int, int, int]:
    """Writes a set; returns its entry."""
    bitmap = ids.bitmaps[layer] if isinstance(ids, BitmapIds) else bitmap_of(ids[layer], wide)
    begin = stream.tell()
    if not len(bitmap):
        return begin, 0, 0
    data = bitmap.serialize()
    stream.write(data)
    stream.write(bytes(-len(data) % 8))  # bitmaps begin at whole words, which are faster to add up
    return begin, len(data), _checksum(data)


def _checksum(data: bytes | memoryview) -> int:
    """The CRC-32 of the bytes; of many, of the sums of their words and of what is left over."""
    rows = len(data) // (8 * _FOLDED)
    sums = np.frombuffer(data, "<u8", rows * _FOLDED).reshape(rows, _FOLDED).sum(axis=0, dtype="<u8")
    return zlib.crc32(data[8 * rows * _FOLDED :], zlib.crc32(sums.tobytes()))


def _about(class_paths: ClassPaths, extra: Mapping[str, object]) -> bytes:
    first = class_paths.paths[0]
    about = {
        "format": _FORMAT,
        "class_names": class_paths.class_names,
        "counts": class_paths.counts.tolist(),
        "theta": first.theta,
        "layers": first.layers,
        "shapes": [asdict(first.shapes[layer]) for layer in first.layers],
        "starts": [{"rank": path.rank, "target": path.target} for path in class_paths.paths],
        "extra": dict(extra),
    }
    return json.dumps(about).encode()


def _read_index(mapped: mmap.mmap) -> Index:
    header, end = mapped[: _HEADER.size], _HEADER.size + _CHECKSUM.size
    if header[: len(MAGIC)] != MAGIC:
        raise ValueError("it begins otherwise")
    _, size, begin, table_size, text_size, checksum = _HEADER.unpack(header)
    if _CHECKSUM.unpack(mapped[_HEADER.size : end]) != (zlib.crc32(header),):
        raise ValueError("its header is damaged")
    if size != len(mapped):
        raise ValueError(f"it has {len(mapped):,} of {size:,} bytes")
    index = mapped[begin : begin + table_size + text_size]
    if zlib.crc32(index) != checksum:
        raise ValueError("its index is damaged")
    about = json.loads(index[table_size:])
    if about["format"] != _FORMAT:
        raise ValueError(f"its format is {about['format']}, expected {_FORMAT}")
    names, layers = tuple(about["class_names"]), about["layers"]
    return Index(
        class_names=names,
        counts=np.array(about["counts"], np.int64),
        theta=about["theta"],
        shapes={layer: LayerShape(**shape) for layer, shape in zip(layers, about["shapes"], strict=True)},
        starts=tuple(about["starts"]),
        extra=about["extra"],
        entries=np.frombuffer(index[:table_size], _ENTRY).reshape(len(names), len(layers), len(STORED)),
    )


def _space(part: Stored, shape: LayerShape) -> int:
    return id_space(shape) if part == "synapses" else shape.n_neurons


def _damaged(file: FilePath, what: object) -> DamagedFileError:
    return DamagedFileError(
        f"{file}: expected class paths written by this program; {what}. Delete this file, and they are computed again."
    )
