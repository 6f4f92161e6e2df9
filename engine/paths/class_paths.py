"""Class paths over a whole data set: in shards, on threads, with progress, and resumable."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path as FilePath
from typing import Protocol

import numpy as np
import torch
from torch import nn

from engine.errors import InvalidInputError
from engine.network.state import evaluating
from engine.paths.aggregation import SHARD, ClassPaths, Union, shard_class_paths
from engine.paths.extraction import EffectivePath
from engine.progress import Progress, silent

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
        resume_file: where to keep the state; its folder must exist. Name it by the content of model and data.
        limit: only the first so many images.
        workers: threads; by default one a processor.
        progress: called after every shard; may raise Cancelled.
    """
    n_images = len(image_set) if limit is None else min(limit, len(image_set))
    if n_images < 1:
        raise InvalidInputError("expected at least one image to take class paths from; got none.")
    extractor = EffectivePath(module, theta, last_layers)
    first = image_set.images(np.arange(1))
    shape = (int(first.shape[1]), int(first.shape[2]), int(first.shape[3]))
    union = Union(extractor.layers(shape), extractor.shapes(shape), theta, len(class_names))
    shards = [np.arange(i, min(i + SHARD, n_images)) for i in range(0, n_images, SHARD)]
    done = _resume(union, resume_file, n_images, class_names)
    waiting = [index for index in range(len(shards)) if index not in done]

    def work(index: int) -> tuple[int, ClassPaths]:
        rows = shards[index]
        return index, shard_class_paths(extractor, image_set.images(rows), image_set.labels[rows], class_names)

    saved = time.monotonic()
    n_done = sum(len(shards[i]) for i in done)
    progress(n_done / n_images, f"{n_done:,} of {n_images:,} images")
    with evaluating(module):  # once for all threads: each would restore the flags under the others' feet
        for index, part in _on_threads(work, waiting, workers or os.cpu_count() or 1):
            union.add_class_paths(part)
            done.add(index)
            n_done += len(shards[index])
            if resume_file is not None and time.monotonic() - saved > _SAVE_EVERY:
                _save_state(union, resume_file, done, n_images, class_names)
                saved = time.monotonic()
            progress(n_done / n_images, f"{n_done:,} of {n_images:,} images")
    if resume_file is not None:
        _side_file(resume_file).unlink(missing_ok=True)
        resume_file.unlink(missing_ok=True)
    return union.result(class_names)


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


def _side_file(resume_file: FilePath) -> FilePath:
    return resume_file.with_name(resume_file.name + ".done.json")


def _save_state(
    union: Union, resume_file: FilePath, done: set[int], n_images: int, class_names: tuple[str, ...]
) -> None:
    """The union first, then the list of what it holds: a stop in between repeats a shard, which changes no union.

    The counts would be wrong then, so they are kept in the list.
    """
    union.result(class_names).save(resume_file)
    state = {"done": sorted(done), "n_images": n_images, "counts": union.counts.tolist()}
    partial = _side_file(resume_file).with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(state))
    os.replace(partial, _side_file(resume_file))


def _resume(union: Union, resume_file: FilePath | None, n_images: int, class_names: tuple[str, ...]) -> set[int]:
    """Takes up an earlier state; one that is absent, damaged or of other work starts from nothing."""
    if resume_file is None or not resume_file.exists() or not _side_file(resume_file).exists():
        return set()
    try:
        state = json.loads(_side_file(resume_file).read_text())
        earlier = ClassPaths.load(resume_file)
        same_layers = earlier.paths[0].layers == union.layers and dict(earlier.paths[0].shapes) == dict(union.shapes)
        same_work = state["n_images"] == n_images and earlier.class_names == class_names and same_layers
        if not same_work or earlier.theta != union.theta:
            return set()
        union.add_class_paths(earlier)
        union.counts = np.array(state["counts"], np.int64)
        return {int(index) for index in state["done"]}
    except (InvalidInputError, ValueError, KeyError):
        return set()
