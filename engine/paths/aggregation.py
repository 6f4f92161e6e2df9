"""Class paths: the union of the paths of the images a model classifies correctly (Qiu et al. 2019, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath

import numpy as np
import torch
from torch import nn

from engine.errors import InvalidInputError
from engine.network.operations import LayerShape
from engine.network.trace import Network
from engine.paths.bitmaps import BitmapIds, DerivedWeights, RoaringSet
from engine.paths.extraction import EffectivePath, Selection, check_images
from engine.paths.packing import PackedPaths, pack_images, pack_paths, unpack_images, unpack_paths
from engine.paths.path import Part, Path, load_paths, save_paths, union
from engine.paths.shards import capacity_of, nothing, opened, run_shards, shared
from engine.version import VERSION

# Images worked on at once: a number, and for large networks what keeps their recorded activations below this.
SHARD = 500
SHARD_ELEMENTS = 64_000_000
_DENSE_LIMIT = 1 << 26  # elements; above it a set is kept as a bitmap, not as one byte an element
# Synapses of a network times classes; above it (say a gigabyte of ids) all sets are, and are unpacked when asked for.
_LARGE = 1 << 31

ReadShard = Callable[[int], tuple[torch.Tensor, np.ndarray]]


@dataclass(frozen=True, slots=True, eq=False)
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

    def __reduce__(self) -> tuple[object, ...]:
        """Pickles small, for the way between processes."""
        return _from_packed, (self.class_names, pack_paths(self.paths), self.counts, self.theta)

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


def _from_packed(class_names: tuple[str, ...], packed: PackedPaths, counts: np.ndarray, theta: float) -> ClassPaths:
    return ClassPaths(class_names, unpack_paths(packed), counts, theta)


class Union:
    """Collects class paths from selections and from other class paths, without sorting again for every image."""

    def __init__(self, layers: tuple[str, ...], shapes: Mapping[str, LayerShape], theta: float, n_classes: int) -> None:
        """Starts with empty paths."""
        self.layers, self.shapes, self.theta = layers, shapes, theta
        self.counts = np.zeros(n_classes, np.int64)
        self._is_large = is_large(shapes, n_classes)
        # Made when a class first comes: a shard holds few of a thousand classes.
        self._sets: dict[tuple[str, str, int], _DenseSet | RoaringSet] = {}

    def _space(self, part: str, layer: str) -> int:
        shape = self.shapes[layer]
        return id_space(shape) if part == "synapses" else shape.n_neurons

    def _set(self, part: str, layer: str, label: int) -> _DenseSet | RoaringSet:
        key = (part, layer, label)
        if key not in self._sets:
            space = self._space(part, layer)
            self._sets[key] = RoaringSet(space) if self._is_large or space > _DENSE_LIMIT else _DenseSet(space)
        return self._sets[key]

    def _add(self, part: str, layer: str, label: int, ids: Mapping[str, np.ndarray]) -> None:
        mine = self._set(part, layer, label)
        if isinstance(mine, RoaringSet) and isinstance(ids, BitmapIds):
            mine.add_bitmap(ids.bitmaps[layer])
        else:
            mine.add(ids[layer])

    def _collected(self, part: str, label: int) -> Mapping[str, np.ndarray]:
        known = {layer: self._sets.get((part, layer, label)) for layer in self.layers}
        if not self._is_large:
            return {layer: np.empty(0, np.int64) if ids is None else ids.ids() for layer, ids in known.items()}
        packed = {
            layer: (ids if isinstance(ids, RoaringSet) else RoaringSet(self._space(part, layer))).bitmap()
            for layer, ids in known.items()
        }
        return BitmapIds(packed)

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
                self._add("synapses", name, label, path.synapses)
                self._add("neurons", name, label, path.neurons)
        self.counts += part.counts

    def result(self, class_names: tuple[str, ...]) -> ClassPaths:
        """What was collected so far; of a large network the ids stay packed until they are asked for."""
        paths = []
        for label in range(len(class_names)):
            synapses, neurons = self._collected("synapses", label), self._collected("neurons", label)
            weights: Mapping[str, np.ndarray] = DerivedWeights(synapses, self.shapes)
            if not self._is_large:
                weights = dict(weights)
            paths.append(Path(self.layers, synapses, weights, neurons, self.shapes, self.theta, target=label))
        return ClassPaths(class_names, tuple(paths), self.counts.copy(), self.theta)


class _DenseSet:
    def __init__(self, space: int) -> None:
        self._members = np.zeros(space, bool)

    def add(self, ids: np.ndarray) -> None:
        self._members[ids] = True

    def ids(self) -> np.ndarray:
        return np.flatnonzero(self._members)


def id_space(shape: LayerShape) -> int:
    """Number of synapse ids of a layer, those on padding among them."""
    return shape.n_neurons * shape.receptive_field


def is_large(shapes: Mapping[str, LayerShape], n_classes: int) -> bool:
    """Whether the class paths of a network are kept as bitmaps, in memory and on disk."""
    return n_classes * sum(id_space(shape) for shape in shapes.values()) > _LARGE


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

    Raises:
        InvalidInputError: for images, labels or settings out of range, or a model that other processes cannot read.
        EngineError: if the executor's workers are gone.
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
    work = ShardWork(model, theta, last_layers, names)
    shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
    merged = Union(work.extractor.layers(shape), work.extractor.shapes(shape), theta, len(names))
    size = shard_size(work.extractor.network(shape))
    tasks = [(images[i : i + size], wanted[i : i + size]) for i in range(0, len(images), size)]
    if executor is None:
        for task in tasks:
            merged.add_class_paths(work.class_paths(*task))
        return merged.result(names)
    with closing(shards_elsewhere(executor, work, tasks.__getitem__, range(len(tasks)))) as results:
        for _, found in results:
            merged.add_class_paths(found)
    return merged.result(names)


class ShardWork:
    """What all shards have in common. The plain model travels to a worker process, which traces it once."""

    def __init__(
        self,
        model: nn.Module,
        theta: float,
        last_layers: int | None,
        class_names: tuple[str, ...],
        version: str = VERSION,
    ) -> None:
        """Settings as for :func:`aggregate`, and the version of the engine that they come from.

        Raises:
            InvalidInputError: if this process has another version, whose paths may differ.
        """
        if version != VERSION:
            raise InvalidInputError(f"expected workers with version {version} of the engine; one has {VERSION}.")
        self.extractor = EffectivePath(model, theta, last_layers)
        self.class_names = class_names

    def __reduce__(self) -> tuple[object, ...]:
        untraced = (self.extractor.model, self.extractor.theta, self.extractor.last_layers)
        return ShardWork, (*untraced, self.class_names, VERSION)

    def class_paths(self, images: torch.Tensor, labels: np.ndarray) -> ClassPaths:
        """Those of one shard."""
        return shard_class_paths(self.extractor, images, labels, self.class_names)


def shards_elsewhere(
    executor: Executor,
    work: ShardWork,
    read: ReadShard,
    indices: Iterable[int],
    workers: int | None = None,
    meanwhile: Callable[[], None] = nothing,
) -> Generator[tuple[int, ClassPaths]]:
    """Class paths of shards from an executor, as they come; close the iterator to end the work early.

    Args:
        executor: works on the shards.
        work: what they have in common.
        read: gives the images and labels of a shard; this process reads, for a worker may not see the files.
        indices: which shards.
        workers: how many the executor has, if it does not tell.
        meanwhile: as for :func:`engine.paths.shards.run_shards`.
    """
    with shared(executor, work) as there:

        def submit(index: int) -> Future[ClassPaths]:
            images, labels = read(index)
            return executor.submit(_shard_elsewhere, there, pack_images(images), labels)

        yield from run_shards(submit, indices, partial(capacity_of, executor, workers), meanwhile)


def _shard_elsewhere(given: object, images: np.ndarray, labels: np.ndarray) -> ClassPaths:
    work: ShardWork = opened(given)
    return work.class_paths(unpack_images(images), labels)
