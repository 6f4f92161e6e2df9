"""Class paths over a whole data set: in shards, on threads, with progress, and resumable."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Protocol

import numpy as np
import torch
from torch import nn

from engine.errors import InvalidInputError
from engine.files import STATE, mark_used
from engine.network.classifiers import classifier_key
from engine.network.state import evaluating
from engine.paths.aggregation import ClassPaths, Union, shard_class_paths, shard_size
from engine.paths.extraction import EffectivePath
from engine.progress import Progress, silent
from engine.version import VERSION

log = logging.getLogger(__name__)

_SAVE_EVERY = 5.0  # seconds between two states on disk


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
    progress: Progress = silent,
) -> ClassPaths:
    """The class paths of a data set's images that the model classifies correctly.

    Shards of images are worked on by threads (the kernels release the interpreter lock); the union does not depend on
    their order. With ``resume_file``, the state is kept there while the work goes on, and taken up from there when
    the same work was stopped before; the file is removed at the end.

    Args:
        module: maps images in [0, 1] to logits.
        image_set: the images.
        class_names: (K,) names.
        theta: share of each neuron's value to explain.
        last_layers: stop after this many layers from the end.
        resume_file: where to keep the state; its folder must exist. A state of other weights, labels, settings or of
            another version is left alone until it is overwritten; name the file by the content of the data.
        limit: only the first so many images.
        workers: threads; by default as many as torch uses.
        progress: called after every shard; may raise Cancelled.
    """
    n_images = len(image_set) if limit is None else min(limit, len(image_set))
    if n_images < 1:
        raise InvalidInputError("expected at least one image to take class paths from; got none.")
    extractor = EffectivePath(module, theta, last_layers)
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

    def work(index: int) -> tuple[int, ClassPaths]:
        rows = shards[index]
        return index, shard_class_paths(extractor, image_set.images(rows), image_set.labels[rows], class_names)

    saved = time.monotonic()
    n_done = sum(len(shards[i]) for i in done)
    progress(n_done / n_images, f"{n_done:,} of {n_images:,} images")
    with evaluating(module):  # once for all threads: each would restore the flags under the others' feet
        for index, part in _on_threads(work, waiting, workers or torch.get_num_threads()):
            union.add_class_paths(part)
            done.add(index)
            n_done += len(shards[index])
            if resume_file is not None and time.monotonic() - saved > _SAVE_EVERY:
                state.save(union, done, class_names)
                saved = time.monotonic()
            progress(n_done / n_images, f"{n_done:,} of {n_images:,} images")
    result = union.result(class_names)
    state.remove()
    return result


def class_paths_once(
    module: nn.Module,
    image_set: LabelledImages,
    class_names: tuple[str, ...],
    *,
    file: FilePath,
    theta: float = 0.5,
    limit: int | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> ClassPaths:
    """The class paths kept in ``file``, computed and kept there if they are not.

    A file that is damaged is set aside. Work that is stopped goes on from a second file beside it. Arguments are those
    of :func:`compute_class_paths`; name ``file`` by the content of model, data and settings.
    """
    if file.exists():
        try:
            kept = ClassPaths.load(file)
        except InvalidInputError as error:
            log.warning("computing class paths again: %s", error)
            with contextlib.suppress(FileNotFoundError):  # another process has just made room
                os.replace(file, file.with_suffix(".damaged"))
        else:
            mark_used(file)
            return kept
    file.parent.mkdir(parents=True, exist_ok=True)
    found = compute_class_paths(
        module,
        image_set,
        class_names,
        theta=theta,
        resume_file=file.with_suffix(STATE),
        limit=limit,
        workers=workers,
        progress=progress,
    )
    found.save(file)
    return found


def _on_threads(work, indices: list[int], workers: int) -> Iterator[tuple[int, ClassPaths]]:  # type: ignore[no-untyped-def]
    """Results as they come, with only a few shards in memory at once."""
    with ThreadPoolExecutor(workers) as pool:
        pending: set[Future[tuple[int, ClassPaths]]] = set()
        queue = list(reversed(indices))
        try:
            while queue or pending:
                while queue and len(pending) < 2 * workers:
                    pending.add(pool.submit(work, queue.pop()))
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        finally:
            for future in pending:
                future.cancel()


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
        union.result(class_names).save(self.file, {"work": self.work, "done": sorted(done)})

    def resume(self, union: Union, class_names: tuple[str, ...]) -> set[int]:
        """Adds an earlier state to the union; one that is absent, damaged or of other work adds nothing.

        Returns:
            the shards it holds.
        """
        if self.file is None or not self.file.exists():
            return set()
        try:
            earlier, about = ClassPaths.load_with_extra(self.file)
        except InvalidInputError as error:
            log.warning("starting the class paths anew: %s", error)
            return set()
        done = about.get("done")
        if about.get("work") != self.work or earlier.class_names != class_names or not isinstance(done, list):
            return set()
        if not all(isinstance(index, int) and 0 <= index < self.n_shards for index in done):
            return set()
        union.add_class_paths(earlier)
        return set(done)

    def remove(self) -> None:
        """Takes the file away, when the work is done."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)


def _identity(module: nn.Module, labels: np.ndarray, *settings: object) -> str:
    weights = classifier_key(module, type(module).__name__)
    named = "|".join(map(str, (VERSION, weights, *settings)))
    return hashlib.sha256(named.encode() + np.ascontiguousarray(labels).tobytes()).hexdigest()
