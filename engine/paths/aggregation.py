"""Class paths: the union of the paths of the images a model classifies correctly (Qiu et al. 2019, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np
import torch
from torch import nn

from engine.errors import InvalidInputError
from engine.network.operations import LayerShape
from engine.network.trace import Network
from engine.paths.extraction import EffectivePath, Selection, check_images
from engine.paths.path import Part, Path, load_paths, save_paths, union

# Images worked on at once: a number, and for large networks what keeps their recorded activations below this.
SHARD = 500
SHARD_ELEMENTS = 64_000_000
_DENSE_LIMIT = 1 << 26  # elements; above it a set is kept as sorted ids, not as one byte an element


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ClassPaths:
    """The class paths of a data set.

    Attributes:
        class_names: (K,) names.
        paths: (K,) one union a class; empty where no image of the class was classified correctly.
        counts: (K,) int64, images merged.
        theta: of the extraction.
    """

    class_names: tuple[str, ...]
    paths: tuple[Path, ...]
    counts: np.ndarray
    theta: float

    def overall(self) -> Path:
        """The union over all classes."""
        return union(self.paths)

    def similarity(self, part: Part = "synapses") -> np.ndarray:
        """(K, K) float64: J of every pair of classes, 1 on the diagonal; NaN where a class has no images."""
        known = self.counts > 0
        matrix = np.diag(np.where(known, 1.0, np.nan))
        matrix[~known] = matrix[:, ~known] = np.nan
        for a in np.flatnonzero(known):
            for b in np.flatnonzero(known[:a]):
                matrix[a, b] = matrix[b, a] = self.paths[a].jaccard(self.paths[b], part)
        return matrix

    def density_growth(self, part: Part = "synapses") -> np.ndarray:
        """(K,) float64: density of the union of the first class, of the first two, and so on."""
        merged = self.paths[0]
        growth = [merged.density(part)]
        for path in self.paths[1:]:
            merged = merged | path
            growth.append(merged.density(part))
        return np.array(growth)

    def save(self, file: str | FilePath, extra: Mapping[str, object] | None = None) -> None:
        """Writes all class paths as one compressed npz file, whole or not at all; ``extra`` are JSON values beside."""
        about = {"class_names": self.class_names, "counts": self.counts.tolist(), **(extra or {})}
        save_paths(file, list(self.paths), about)

    @staticmethod
    def load(file: str | FilePath) -> ClassPaths:
        """Reads what :meth:`save` wrote.

        Raises:
            InvalidInputError: if the file is damaged or of another kind.
        """
        return ClassPaths.load_with_extra(file)[0]

    @staticmethod
    def load_with_extra(file: str | FilePath) -> tuple[ClassPaths, dict[str, object]]:
        """The same, and the values that were written beside the paths."""
        paths, extra = load_paths(file)
        names, counts = extra.get("class_names"), extra.get("counts")
        if not isinstance(names, list) or not isinstance(counts, list) or not len(names) == len(counts) == len(paths):
            raise InvalidInputError(
                f"{file}: expected class paths; this file holds {len(paths)} paths of another kind."
            )
        return ClassPaths(tuple(names), tuple(paths), np.array(counts, np.int64), paths[0].theta), extra


class Union:
    """Collects class paths from selections and from other class paths, without sorting again for every image."""

    def __init__(self, layers: tuple[str, ...], shapes: Mapping[str, LayerShape], theta: float, n_classes: int) -> None:
        """Starts with empty paths."""
        self.layers, self.shapes, self.theta = layers, shapes, theta
        self.counts = np.zeros(n_classes, np.int64)
        # Made when a class first comes: a shard holds few of a thousand classes.
        self._sets: dict[tuple[str, str, int], _DenseSet | _SortedSet] = {}

    def _set(self, part: str, layer: str, label: int) -> _DenseSet | _SortedSet:
        key = (part, layer, label)
        if key not in self._sets:
            shape = self.shapes[layer]
            self._sets[key] = _make_set(_id_space(shape) if part == "synapses" else shape.n_neurons)
        return self._sets[key]

    def _ids(self, part: str, layer: str, label: int) -> np.ndarray:
        known = self._sets.get((part, layer, label))
        return np.empty(0, np.int64) if known is None else known.ids()

    def add_selections(self, selections: Mapping[str, Selection], labels: np.ndarray) -> None:
        """Adds a batch of images, image n to class ``labels[n]``."""
        for name in self.layers:
            selection = selections[name]
            for n, label in enumerate(labels):
                mine = selection.synapses[selection.begins[n] : selection.begins[n + 1]]
                self._set("synapses", name, int(label)).add(mine)
                self._set("neurons", name, int(label)).add(np.flatnonzero(selection.neurons[n]))
        np.add.at(self.counts, labels, 1)

    def add_class_paths(self, part: ClassPaths) -> None:
        """Adds class paths of further images."""
        for label, path in enumerate(part.paths):
            if not part.counts[label]:
                continue
            for name in self.layers:
                self._set("synapses", name, label).add(path.synapses[name])
                self._set("neurons", name, label).add(path.neurons[name])
        self.counts += part.counts

    def result(self, class_names: tuple[str, ...]) -> ClassPaths:
        """What was collected so far."""
        paths = []
        for label in range(len(class_names)):
            synapses = {name: self._ids("synapses", name, label) for name in self.layers}
            weights = {name: self.shapes[name].weight_ids(ids) for name, ids in synapses.items()}
            neurons = {name: self._ids("neurons", name, label) for name in self.layers}
            paths.append(Path(self.layers, synapses, weights, neurons, self.shapes, self.theta, target=label))
        return ClassPaths(class_names, tuple(paths), self.counts.copy(), self.theta)


class _DenseSet:
    def __init__(self, space: int) -> None:
        self._members = np.zeros(space, bool)

    def add(self, ids: np.ndarray) -> None:
        self._members[ids] = True

    def ids(self) -> np.ndarray:
        return np.flatnonzero(self._members)


class _SortedSet:
    def __init__(self) -> None:
        self._sorted = np.empty(0, np.int64)
        self._waiting: list[np.ndarray] = []
        self._n_waiting = 0

    def add(self, ids: np.ndarray) -> None:
        self._waiting.append(ids)
        self._n_waiting += len(ids)
        if self._n_waiting > max(1_000_000, len(self._sorted)):  # amortises the sort over what is already there
            self.ids()

    def ids(self) -> np.ndarray:
        if self._waiting:
            self._sorted = np.unique(np.concatenate([self._sorted, *self._waiting]))
            self._waiting, self._n_waiting = [], 0
        return self._sorted


def _make_set(space: int) -> _DenseSet | _SortedSet:
    return _DenseSet(space) if space <= _DENSE_LIMIT else _SortedSet()


def _id_space(shape: LayerShape) -> int:
    return shape.n_neurons * shape.receptive_field


def shard_size(network: Network) -> int:
    """Images in a shard, by the size of what is recorded of each."""
    recorded = sum(operation.size for operation in network.operations.values())
    return max(1, min(SHARD, SHARD_ELEMENTS // recorded))


def shard_class_paths(
    extractor: EffectivePath, images: torch.Tensor, labels: np.ndarray, class_names: tuple[str, ...]
) -> ClassPaths:
    """The class paths of one shard of images, those classified correctly; the unit of work of every executor."""
    check_images(images)
    shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
    union_ = Union(extractor.layers(shape), extractor.shapes(shape), extractor.theta, len(class_names))
    if len(images):
        activations = extractor.record(images)
        logits = activations[extractor.network(shape).output.node]
        right = np.flatnonzero(np.argsort(-logits, axis=1, kind="stable")[:, 0] == labels)
        if len(right):
            kept = {node: np.ascontiguousarray(values[right]) for node, values in activations.items()}
            union_.add_selections(extractor.select(shape, kept, labels[right]), labels[right])
    return union_.result(class_names)


def aggregate(
    model: nn.Module,
    images: torch.Tensor,
    labels: np.ndarray | torch.Tensor,
    *,
    theta: float = 0.5,
    last_layers: int | None = None,
    class_names: tuple[str, ...] | None = None,
    executor: Executor | None = None,
) -> ClassPaths:
    """The class paths of images held in memory.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits.
        images: (N, C, H, W) float in [0, 1].
        labels: (N,) class of each image.
        theta: share of each neuron's value to explain.
        last_layers: stop after this many layers from the end.
        class_names: (K,) names; by default "0", "1", … up to the largest label.
        executor: anything with the ``concurrent.futures.Executor`` interface; None works in this thread. Any split over
            any workers gives the same class paths.
    """
    check_images(images)
    given = np.asarray(labels)
    if given.dtype.kind not in "iu":
        raise InvalidInputError(f"labels: expected whole numbers; got {given.dtype}.")
    wanted = given.astype(np.int64)
    if wanted.shape != (len(images),) or (len(wanted) and wanted.min() < 0):
        raise InvalidInputError(f"labels: expected {len(images)} classes from 0 up; got shape {wanted.shape}.")
    names = class_names or tuple(str(c) for c in range(int(wanted.max(initial=0)) + 1))
    if len(wanted) and wanted.max() >= len(names):
        raise InvalidInputError(f"labels: expected classes below {len(names)}; got {int(wanted.max())}.")
    extractor = EffectivePath(model, theta, last_layers)
    shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
    merged = Union(extractor.layers(shape), extractor.shapes(shape), theta, len(names))
    size = shard_size(extractor.network(shape))
    tasks = [(images[i : i + size], wanted[i : i + size]) for i in range(0, len(images), size)]
    if executor is None:
        parts = (shard_class_paths(extractor, part, part_labels, names) for part, part_labels in tasks)
        for class_paths in parts:
            merged.add_class_paths(class_paths)
    else:
        for future in [executor.submit(_shard_elsewhere, model, theta, last_layers, *task, names) for task in tasks]:
            merged.add_class_paths(future.result())
    return merged.result(names)


def _shard_elsewhere(
    model: nn.Module,
    theta: float,
    last_layers: int | None,
    images: torch.Tensor,
    labels: np.ndarray,
    class_names: tuple[str, ...],
) -> ClassPaths:
    """A shard with an extractor of its own: what travels to a worker process is the plain model."""
    return shard_class_paths(EffectivePath(model, theta, last_layers), images, labels, class_names)
