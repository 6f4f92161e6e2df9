"""Class paths over a whole data set: in shards, on threads, with progress, and resumable."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from engine.errors import DamagedFileError, InvalidInputError
from engine.files import STATE, mark_used, set_aside
from engine.network.classifiers import classifier_key
from engine.network.state import evaluating
from engine.paths.aggregation import ClassPaths, ReadShard, ShardWork, Union, is_large, shard_size, shards_elsewhere
from engine.paths.bitmap_store import ClassPathStore
from engine.paths.cluster import connected
from engine.paths.shards import run_shards
from engine.progress import Progress, silent
from engine.version import VERSION

log = logging.getLogger(__name__)

T = TypeVar("T")

_FOLDER = "class-paths"
# Changes when what is stored, or how it is computed, does.
_STORED = 2
_SAVE_EVERY = 5.0  # seconds between two states on disk
_SAVE_SHARE = 10  # more, times what the last one took
_SAVE_AT_LATEST = 45.0  # a state that nobody touches for a minute may have to make room for others


class LabelledImages(Protocol):
    """One split of a data set."""

    labels: np.ndarray

    def __len__(self) -> int:
        """Number of images."""

    def images(self, indices: np.ndarray) -> torch.Tensor:
        """(n, C, H, W) float32 in [0, 1]."""


def compute_class_paths(
    module: nn.Module,
    image_set: LabelledImages,
    class_names: tuple[str, ...],
    *,
    theta: float = 0.5,
    last_layers: int | None = None,
    resume_file: FilePath | None = None,
    limit: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> ClassPaths:
    """The class paths of a data set's images that the model classifies correctly.

    Shards of images are worked on by threads (the kernels release the interpreter lock), or by the workers of an
    executor, to which this process sends the images; the union does not depend on their order. With ``resume_file``,
    the state is kept there while the work goes on, and taken up from there when the same work was stopped before; the
    file is removed at the end.

    Args:
        module: maps images in [0, 1] to logits.
        image_set: the images.
        class_names: (K,) names.
        theta: share of each neuron's value to explain.
        last_layers: stop after this many layers from the end.
        resume_file: where to keep the state; its folder must exist. A state of other weights, labels, settings or of
            another version is left alone until it is overwritten; name the file by the content of the data.
        limit: only the first so many images.
        workers: threads; by default as many as torch uses. With an executor that does not tell it
            (``concurrent.futures`` do not), how many workers it has; by default as many as this machine's processors.
        executor: where the shards are worked on: a process pool, or the cluster that
            :func:`engine.paths.cluster.connect` gives; None for threads. It is left open.
        progress: called after every shard, and every second in which none was finished; may raise Cancelled.

    Raises:
        InvalidInputError: for no images, settings out of range, or a model that other processes cannot read.
        EngineError: if the executor's workers are gone.
    """
    n_images = len(image_set) if limit is None else min(limit, len(image_set))
    if n_images < 1:
        raise InvalidInputError("expected at least one image to take class paths from; got none.")
    work = ShardWork(module, theta, last_layers, class_names)
    extractor = work.extractor
    first = image_set.images(np.arange(1))
    shape = (int(first.shape[1]), int(first.shape[2]), int(first.shape[3]))
    union = Union(extractor.layers(shape), extractor.shapes(shape), theta, len(class_names))
    size = shard_size(extractor.network(shape))
    shards = [np.arange(i, min(i + size, n_images)) for i in range(0, n_images, size)]
    settings = (n_images, size, theta, last_layers, shape)
    identity = "" if resume_file is None else _identity(module, image_set.labels, *settings)
    state = _State(resume_file, identity, len(shards))
    done = state.resume(union, class_names)
    waiting = [index for index in range(len(shards)) if index not in done]

    def read(index: int) -> tuple[torch.Tensor, np.ndarray]:
        return image_set.images(shards[index]), image_set.labels[shards[index]]

    def report() -> None:
        n_done = sum(len(shards[i]) for i in done)
        progress(n_done / n_images, f"{n_done:,} of {n_images:,} images")

    saved, pause = time.monotonic(), _SAVE_EVERY
    report()
    if executor is None:
        results = _on_threads(work, read, waiting, workers or torch.get_num_threads(), report)
    else:
        results = shards_elsewhere(executor, work, read, waiting, workers, report)
    # In eval mode once for all threads: each would restore the flags under the others' feet.
    with evaluating(module), contextlib.closing(results):
        for index, part in results:
            union.add_class_paths(part)
            done.add(index)
            if resume_file is not None and time.monotonic() - saved > pause:
                begin = time.monotonic()
                state.save(union, done, class_names)
                saved = time.monotonic()
                pause = min(_SAVE_EVERY + _SAVE_SHARE * (saved - begin), _SAVE_AT_LATEST)
            report()
    result = union.result(class_names)
    state.remove()
    return result


def class_paths_file(
    cache: FilePath, model_key: str, data_key: str, theta: float, limit: int | None = None
) -> FilePath:
    """Where class paths are kept: one place for every program that works on the same data directory.

    Args:
        cache: folder of what can be computed again.
        model_key: a classifier's ``key``, which tells weights apart.
        data_key: a data set's ``key``.
        theta: share of each neuron's value to explain.
        limit: only the first so many images.
    """
    parts = (_STORED, VERSION, model_key, data_key, float(theta), limit)
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:32]
    return cache / _FOLDER / f"paths-{digest}.npz"


def class_paths_once(
    module: nn.Module,
    image_set: LabelledImages,
    class_names: tuple[str, ...],
    *,
    file: FilePath,
    theta: float = 0.5,
    limit: int | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    progress: Progress = silent,
) -> ClassPaths:
    """The class paths kept in ``file``, computed and kept there if they are not.

    Small networks' class paths are kept as npz, large ones' as a :class:`~engine.paths.bitmap_store.ClassPathStore`,
    whose ids stay in the file until they are asked for; either is read, whatever the file's name.
    A file that is damaged is set aside. Work that is stopped goes on from a second file beside it. Arguments are those
    of :func:`compute_class_paths`; name ``file`` by the content of model, data and settings. With ``cluster``, the
    address of a dask scheduler, its workers do what is left to do.

    Raises:
        EngineError: if the cluster cannot be used.
    """
    if file.exists():
        try:
            kept, _ = _load(file)
        except InvalidInputError as error:
            log.warning("computing class paths again: %s", error)
            set_aside(file)
        else:
            mark_used(file)
            return kept
    file.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.nullcontext() if cluster is None else connected(cluster) as executor:
        found = compute_class_paths(
            module,
            image_set,
            class_names,
            theta=theta,
            resume_file=file.with_suffix(STATE),
            limit=limit,
            workers=workers,
            executor=executor,
            progress=progress,
        )
    return save_class_paths(file, found)


def with_sound_file(file: FilePath, work: Callable[[], T]) -> T:
    """Does work that begins with :func:`class_paths_once`. Large class paths are read as they are needed: where they
    turn out to be damaged only then, the file is set aside and the work done once more."""
    try:
        return work()
    except DamagedFileError as error:
        log.warning("computing class paths again: %s", error)
        set_aside(file)
        return work()


def save_class_paths(file: FilePath, found: ClassPaths, extra: Mapping[str, object] | None = None) -> ClassPaths:
    """Keeps class paths and JSON values beside them, large ones as a store; gives them as kept, which no longer fill
    the memory."""
    if not is_large(found.paths[0].shapes, len(found.paths)):
        found.save(file, extra)
        return found
    ClassPathStore.write(file, found, extra)
    return ClassPathStore.open(file).class_paths()


def _load(file: FilePath) -> tuple[ClassPaths, dict[str, object]]:
    """Class paths in either format, and the values beside them."""
    if not ClassPathStore.is_at(file):
        return ClassPaths.load_with_extra(file)
    store = ClassPathStore.open(file)
    return store.class_paths(), store.extra


def _on_threads(
    work: ShardWork, read: ReadShard, indices: list[int], threads: int, meanwhile: Callable[[], None]
) -> Generator[tuple[int, ClassPaths]]:
    """Class paths of shards from threads, which also read the images."""

    def one(index: int) -> ClassPaths:
        return work.class_paths(*read(index))

    work.extractor.threads = max(1, torch.get_num_threads() // threads)  # the shards share the processors already
    with ThreadPoolExecutor(threads) as pool:
        yield from run_shards(lambda index: pool.submit(one, index), indices, lambda: threads, meanwhile)


@dataclass(frozen=True, slots=True)
class _State:
    """What is done, on disk; taken up only by the very same work.

    Attributes:
        file: where it is kept, or None.
        work: identity of the work: engine, weights, labels, shards and settings.
        n_shards: shards in all.
    """

    file: FilePath | None
    work: str
    n_shards: int

    def save(self, union: Union, done: set[int], class_names: tuple[str, ...]) -> None:
        """Writes the union and the shards it holds, in one piece."""
        assert self.file is not None
        save_class_paths(self.file, union.result(class_names), {"work": self.work, "done": sorted(done)})

    def resume(self, union: Union, class_names: tuple[str, ...]) -> set[int]:
        """Adds an earlier state to the union; one that is absent, damaged or of other work adds nothing.

        Returns:
            the shards it holds.
        """
        if self.file is None or not self.file.exists():
            return set()
        try:
            earlier, about = _load(self.file)
            done = about.get("done")
            if about.get("work") != self.work or earlier.class_names != class_names or not isinstance(done, list):
                return set()
            if not all(isinstance(index, int) and 0 <= index < self.n_shards for index in done):
                return set()
            union.add_class_paths(earlier)  # may find damage half-way; what it added until then comes again
        except InvalidInputError as error:
            log.warning("starting the class paths anew: %s", error)
            return set()
        return set(done)

    def remove(self) -> None:
        """Takes the file away, when the work is done."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)


def _identity(module: nn.Module, labels: np.ndarray, *settings: object) -> str:
    weights = classifier_key(module, type(module).__name__)
    named = "|".join(map(str, (VERSION, weights, *settings)))
    return hashlib.sha256(named.encode() + np.ascontiguousarray(labels).tobytes()).hexdigest()
