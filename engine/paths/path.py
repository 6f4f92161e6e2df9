"""The effective path of an image or of a class, and what is measured on it (Qiu et al. 2019, sections 3 and 4)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import reduce
from operator import or_
from pathlib import Path as FilePath
from typing import Literal

import numpy as np

from engine.errors import InvalidInputError
from engine.files import DAMAGED_ARCHIVE, write_atomically
from engine.network.operations import LayerShape
from engine.paths.bitmaps import BitmapIds, DerivedWeights

Part = Literal["synapses", "weights"]
_FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Sets of synapses, weights and neurons, layer by layer (ids as in definitions 1).

    Attributes:
        layers: names, in execution order; the last n of the model for a partial path.
        synapses, weights, neurons: by layer, sorted int64 ids; in large class paths unpacked when asked for.
        shapes: geometry of each layer.
        theta: share of each neuron's value that its synapses explain, 0 < θ ≤ 1.
        rank: place of the logit the path started from, 1 = predicted class; None for a given class or a union.
        target: index of that logit; None for a union over several.
    """

    layers: tuple[str, ...]
    synapses: Mapping[str, np.ndarray]
    weights: Mapping[str, np.ndarray]
    neurons: Mapping[str, np.ndarray]
    shapes: Mapping[str, LayerShape]
    theta: float
    rank: int | None = None
    target: int | None = None

    def __or__(self, other: Path) -> Path:
        """The union, layer by layer.

        Raises:
            InvalidInputError: if the two come from different layers or another θ.
        """
        return union([self, other])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Path):
            return NotImplemented
        same = self.layers == other.layers and self.theta == other.theta and dict(self.shapes) == dict(other.shapes)
        return same and all(
            np.array_equal(mine[layer], theirs[layer])
            for mine, theirs in (
                (self.synapses, other.synapses),
                (self.weights, other.weights),
                (self.neurons, other.neurons),
            )
            for layer in self.layers
        )

    def _ids(self, part: Part) -> Mapping[str, np.ndarray]:
        if part not in ("synapses", "weights"):
            raise InvalidInputError(f"part: expected 'synapses' or 'weights'; got {part!r}.")
        return self.synapses if part == "synapses" else self.weights

    def jaccard(self, other: Path, part: Part = "synapses") -> float:
        """|Sa ∩ Sb| / |Sa ∪ Sb| over all layers together; NaN for two empty paths."""
        _check_same_kind(self, other)
        mine, theirs = self._ids(part), other._ids(part)
        both = sum(n_common_in(mine, theirs, layer) for layer in self.layers)
        either = sum(_n_in(mine, layer) + _n_in(theirs, layer) for layer in self.layers) - both
        return both / either if either else float("nan")

    def overlap(self, class_path: Path, part: Part = "synapses") -> float:
        """|S ∩ S̃| / |S| over all layers together: the image-class similarity; NaN for an empty path."""
        _check_same_kind(self, class_path)
        mine, theirs = self._ids(part), class_path._ids(part)
        both = sum(n_common_in(mine, theirs, layer) for layer in self.layers)
        all_mine = sum(_n_in(mine, layer) for layer in self.layers)
        return both / all_mine if all_mine else float("nan")

    def overlap_per_layer(self, class_path: Path, part: Part = "synapses") -> dict[str, float]:
        """|Sˡ ∩ S̃ˡ| / |Sˡ| of each layer; NaN where the path is empty."""
        _check_same_kind(self, class_path)
        mine, theirs = self._ids(part), class_path._ids(part)
        sizes = {layer: _n_in(mine, layer) for layer in self.layers}
        return {
            layer: n_common_in(mine, theirs, layer) / size if size else float("nan") for layer, size in sizes.items()
        }

    def jaccard_per_layer(self, other: Path, part: Part = "synapses") -> dict[str, float]:
        """|Sˡa ∩ Sˡb| / |Sˡa ∪ Sˡb| of each layer; NaN where both are empty."""
        _check_same_kind(self, other)
        result = {}
        for layer in self.layers:
            mine, theirs = self._ids(part), other._ids(part)
            both = n_common_in(mine, theirs, layer)
            either = _n_in(mine, layer) + _n_in(theirs, layer) - both
            result[layer] = both / either if either else float("nan")
        return result

    def density(self, part: Part = "synapses") -> float:
        """Σ|Sˡ| / Σ(all synapses of layer l), in [0, 1]; likewise for weights."""
        used = sum(_n_in(self._ids(part), layer) for layer in self.layers)
        return used / sum(self._total(layer, part) for layer in self.layers)

    def density_per_layer(self, part: Part = "synapses") -> dict[str, float]:
        """|Sˡ| / all synapses of layer l; likewise for weights."""
        return {layer: _n_in(self._ids(part), layer) / self._total(layer, part) for layer in self.layers}

    def _total(self, layer: str, part: Part) -> int:
        return self.shapes[layer].n_synapses if part == "synapses" else self.shapes[layer].n_weights

    def save(self, file: str | FilePath) -> None:
        """Writes the path as a compressed npz file, whole or not at all."""
        save_paths(file, [self], {})

    @staticmethod
    def load(file: str | FilePath) -> Path:
        """Reads what :meth:`save` wrote.

        Raises:
            InvalidInputError: if the file is damaged or of another kind.
        """
        paths, _ = load_paths(file)
        if len(paths) != 1:
            raise InvalidInputError(f"{file}: expected one path, got {len(paths)}.")
        return paths[0]


def union(paths: Iterable[Path]) -> Path:
    """The union of one or more paths, layer by layer. Associative and commutative.

    Raises:
        InvalidInputError: for no path at all, or paths of different layers or θ.
    """
    given = list(paths)
    if not given:
        raise InvalidInputError("expected at least one path to unite, got none.")
    first = given[0]
    for path in given[1:]:
        _check_same_kind(first, path)

    def unite(name: str) -> Mapping[str, np.ndarray]:
        sets = [getattr(path, name) for path in given]
        packed = [ids for ids in sets if isinstance(ids, BitmapIds)]
        if len(packed) == len(sets):  # large ones stay as they are
            return BitmapIds({layer: reduce(or_, (ids.bitmaps[layer] for ids in packed)) for layer in first.layers})
        return {layer: np.unique(np.concatenate([ids[layer] for ids in sets])) for layer in first.layers}

    synapses = unite("synapses")
    weights = DerivedWeights(synapses, first.shapes) if isinstance(synapses, BitmapIds) else unite("weights")
    targets = {path.target for path in given}
    return Path(
        first.layers, synapses, weights, unite("neurons"), first.shapes, first.theta,
        target=targets.pop() if len(targets) == 1 else None,
    )  # fmt: skip


def n_common(a: np.ndarray, b: np.ndarray) -> int:
    """Elements common to two sorted sets, by looking the smaller one up in the larger."""
    if len(a) > len(b):
        a, b = b, a
    if not len(a):
        return 0
    places = np.searchsorted(b, a)
    places[places == len(b)] = 0
    return int(np.count_nonzero(b[places] == a))


def _n_in(ids: Mapping[str, np.ndarray], layer: str) -> int:
    """Ids of a layer; those in a bitmap are counted without unpacking."""
    return ids.n_ids(layer) if isinstance(ids, BitmapIds) else len(ids[layer])


def n_common_in(mine: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray], layer: str) -> int:
    """Ids of a layer that two paths have in common; likewise."""
    if isinstance(theirs, BitmapIds):
        return theirs.n_common(mine, layer)
    if isinstance(mine, BitmapIds):
        return mine.n_common(theirs, layer)
    return n_common(mine[layer], theirs[layer])


def _check_same_kind(a: Path, b: Path) -> None:
    if a.layers != b.layers or dict(a.shapes) != dict(b.shapes):
        raise InvalidInputError(
            f"expected two paths over the same layers; got {len(a.layers)} layers ({', '.join(a.layers[:3])}, …) and "
            f"{len(b.layers)} ({', '.join(b.layers[:3])}, …). Extract both from one model with the same last_layers."
        )
    if a.theta != b.theta:
        raise InvalidInputError(f"expected two paths of one θ; got {a.theta:g} and {b.theta:g}. Extract one again.")


def save_paths(file: str | FilePath, paths: list[Path], extra: Mapping[str, object]) -> None:
    """Writes paths over the same layers, with JSON values beside them, whole or not at all.

    Sorted ids are stored as their differences, which compress to about a byte each.
    """
    first = paths[0]
    arrays: dict[str, np.ndarray] = {}
    for index, path in enumerate(paths):
        for name in ("synapses", "weights", "neurons"):
            for place, layer in enumerate(path.layers):
                steps = np.diff(getattr(path, name)[layer], prepend=0)
                small = not len(steps) or steps.max() < 2**32
                arrays[f"{index}/{name}/{place}"] = steps.astype(np.uint32 if small else np.uint64)
    about = {
        "format": _FORMAT,
        "layers": first.layers,
        "shapes": [asdict(first.shapes[layer]) for layer in first.layers],
        "theta": first.theta,
        "paths": [{"rank": path.rank, "target": path.target} for path in paths],
        "extra": dict(extra),
    }

    def write(partial: FilePath) -> None:
        with open(partial, "wb") as stream:
            np.savez_compressed(stream, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]

    write_atomically(FilePath(file), write)


def load_paths(file: str | FilePath) -> tuple[list[Path], dict[str, object]]:
    """Reads what :func:`save_paths` wrote.

    Raises:
        InvalidInputError: if the file is absent, damaged or of another kind.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            about = json.loads(str(archive["about"]))
            if about["format"] != _FORMAT:
                raise ValueError(f"format {about['format']}, expected {_FORMAT}")
            layers = tuple(about["layers"])
            shapes = {layer: LayerShape(**shape) for layer, shape in zip(layers, about["shapes"], strict=True)}

            def read(index: int, name: str) -> dict[str, np.ndarray]:
                steps = (archive[f"{index}/{name}/{place}"] for place in range(len(layers)))
                return {layer: np.cumsum(s.astype(np.int64)) for layer, s in zip(layers, steps, strict=True)}

            paths = [
                Path(
                    layers, read(i, "synapses"), read(i, "weights"), read(i, "neurons"), shapes, about["theta"], **start
                )
                for i, start in enumerate(about["paths"])
            ]
            return paths, about["extra"]
    except DAMAGED_ARCHIVE as error:
        raise InvalidInputError(
            f"{file}: expected a file of effective paths written by this program; {error}."
        ) from error
