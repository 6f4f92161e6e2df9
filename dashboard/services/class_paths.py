"""Class paths, what is normal on them and what they share: computed in the background, kept on disk."""

from __future__ import annotations

import copy
import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np
import torch

from dashboard.services.cache_limit import make_room
from dashboard.services.classifiers import Classifiers, LoadedClassifier
from engine.errors import Cancelled, EngineError
from engine.files import mark_used, write_atomically
from engine.paths.aggregation import ClassPaths
from engine.paths.class_paths import class_paths_file, class_paths_once, with_sound_file
from engine.paths.cluster import check_usable
from engine.paths.extraction import EffectivePath
from engine.paths.survey import SURVEYED, ClassSurvey, survey_once
from engine.progress import Progress, span

log = logging.getLogger(__name__)

BAND_IMAGES = 200
BAND_BATCH = 20
KEPT_IN_MEMORY = 8
# Work that no open page has asked about for this long makes room for work that one waits for.
FORGOTTEN_AFTER_S = 15.0
# A failure stays on the page; coming back to it later tries again.
RETRIED_AFTER_S = 10.0
# What pages look at is read from memory; that its files are in use is noted so often.
MARKED_EVERY_S = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Normal:
    """A model's class paths, the similarities of normal test images, and what the class paths come to together.

    Attributes:
        class_paths: a path per class.
        bands: by rank, the 5 % and the 95 % quantile of the similarity, each by layer.
        band_images: how many correctly classified test images the quantiles come from.
        survey: sizes and similarities of all class paths.
    """

    class_paths: ClassPaths
    bands: Mapping[int, tuple[Mapping[str, float], Mapping[str, float]]]
    band_images: int
    survey: ClassSurvey


@dataclass(frozen=True, slots=True, eq=False)
class _Bands:
    """The first two of these, as they are kept in a file."""

    by_rank: Mapping[int, tuple[Mapping[str, float], Mapping[str, float]]]
    images: int


@dataclass(slots=True)
class Work:
    """How far the class paths of one model and θ are.

    Attributes:
        fraction: finished share, in [0, 1].
        message: what is being done.
        error: why it failed, or None.
        normal: the result once it is there.
        asked: when a page last asked for it (monotonic seconds).
        files: where the result is kept.
        marked: when these were last marked as used (monotonic seconds).
    """

    fraction: float = 0.0
    message: str = "waiting for its turn"
    error: str | None = None
    normal: Normal | None = None
    asked: float = 0.0
    files: tuple[FilePath, ...] = ()
    marked: float = 0.0


class NormalPaths:
    """One background thread that computes class paths in the order in which pages ask for them."""

    def __init__(self, classifiers: Classifiers, cache: FilePath, limit: int, cluster: str | None = None) -> None:
        """Keeps finished paths in a folder of ``cache``, all of which takes at most ``limit`` bytes.

        Args:
            classifiers: the models.
            cache: the server's.
            limit: bytes.
            cluster: address of the dask scheduler whose workers compute them; it is called when there is work.

        Raises:
            EngineError: for an address of another form, or if the package for it is absent.
        """
        self._classifiers = classifiers
        self._cache = cache
        self._limit = limit
        self._cluster = None if cluster is None else check_usable(cluster)
        self._works: dict[tuple[str, float], Work] = {}
        self._waiting: list[tuple[str, float]] = []
        self._lock = threading.Condition()
        self._thread: threading.Thread | None = None

    def ask(self, model: str, theta: float) -> Work:
        """How far it is; starts it when nobody has yet, or anew some time after it failed. Never waits."""
        key = (model, theta)
        with self._lock:
            work = self._works.get(key)
            if work is None or (work.error is not None and time.monotonic() - work.asked > RETRIED_AFTER_S):
                work = self._works[key] = Work()
                self._waiting.append(key)
                self._lock.notify()
            work.asked = time.monotonic()
            _mark(work)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="class paths", daemon=True)
                self._thread.start()
            return work

    def _run(self) -> None:
        while True:
            with self._lock:
                while not self._waiting:
                    self._lock.wait()
                # The page that asked last is the one somebody looks at.
                key = max(self._waiting, key=lambda waiting: self._works[waiting].asked)
                self._waiting.remove(key)
                work = self._works[key]
            self._do(key, work)

    def _do(self, key: tuple[str, float], work: Work) -> None:
        def progress(fraction: float, message: str) -> None:
            work.fraction, work.message = fraction, message
            with self._lock:
                if self._waiting and time.monotonic() - work.asked > FORGOTTEN_AFTER_S:
                    raise Cancelled("Nobody waits for these class paths any more.")

        try:
            work.normal = self._compute(*key, work, progress)
            self._forget_old()
        except Cancelled:
            with self._lock:
                self._works.pop(key, None)
        except EngineError as error:
            work.error = str(error)
        except Exception:
            log.exception("class paths of %s at θ = %g failed", *key)
            work.error = "Computing the class paths failed; the server's log has the details."
        make_room(self._cache, self._limit)

    def _forget_old(self) -> None:
        """Forgets what no page has asked for longest; the files stay."""
        with self._lock:
            finished = [key for key, work in self._works.items() if work.normal is not None]
            finished.sort(key=lambda key: self._works[key].asked, reverse=True)
            for key in finished[KEPT_IN_MEMORY:]:
                del self._works[key]

    def _compute(self, model: str, theta: float, work: Work, progress: Progress) -> Normal:
        loaded = self._classifiers.get(model)
        loaded.classifier.require_sound()
        self._classifiers.wait_for_kernels()
        file = class_paths_file(self._cache, loaded.classifier.key, loaded.dataset.key, theta)
        return with_sound_file(file, lambda: self._compute_from(file, loaded, theta, work, progress))

    def _compute_from(
        self, file: FilePath, loaded: LoadedClassifier, theta: float, work: Work, progress: Progress
    ) -> Normal:
        module = copy.deepcopy(loaded.classifier.module)  # pages go on using the other one meanwhile
        bands_file, survey_file = file.with_suffix(".json"), file.with_suffix(SURVEYED)
        class_paths = class_paths_once(
            module,
            loaded.dataset.train,
            loaded.classifier.classes,
            file=file,
            theta=theta,
            cluster=self._cluster,
            progress=span(progress, 0.0, 0.9),
        )
        bands = _read_bands(bands_file)
        if bands is None:
            bands = _measure(module, loaded, class_paths, span(progress, 0.9, 0.95))
            _write_bands(bands_file, bands)
        mark_used(bands_file)
        surveyed = survey_once(class_paths, file=survey_file, progress=_comparing(span(progress, 0.95, 1.0)))
        work.files, work.marked = (file, bands_file, survey_file), time.monotonic()
        progress(1.0, "done")
        return Normal(class_paths, bands.by_rank, bands.images, surveyed)


def _comparing(progress: Progress) -> Progress:
    """Says of a survey's progress what it is about."""
    return lambda fraction, message: progress(fraction, f"comparing class paths, {message}")


def _mark(work: Work) -> None:
    """Marks the files of a result as used, now and then."""
    if work.normal is not None and work.asked - work.marked > MARKED_EVERY_S:
        work.marked = work.asked
        for file in work.files:
            mark_used(file)


def _measure(module: torch.nn.Module, loaded: LoadedClassifier, class_paths: ClassPaths, progress: Progress) -> _Bands:
    """The similarities of the first correctly classified test images, as quantiles per layer."""
    extractor = EffectivePath(module, theta=class_paths.theta)
    test = loaded.dataset.test
    found: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for first in range(0, len(test), BAND_BATCH):
        indices = np.arange(first, min(first + BAND_BATCH, len(test)))
        images = test.images(indices)
        with torch.no_grad():
            ranking = module(images).argsort(dim=1, descending=True).numpy()
        right = np.flatnonzero(ranking[:, 0] == test.labels[indices])
        if right.size:
            for rank, rows in found.items():
                paths = extractor.extract(images[right], rank=rank)
                starts = ranking[right, rank - 1]
                rows += [
                    p.overlap_per_layer(class_paths.paths[c])
                    for p, c in zip(paths, starts, strict=True)
                    if class_paths.counts[c]  # a class without a path is like no image
                ]
        progress(min(1.0, len(found[1]) / BAND_IMAGES), "measuring normal test images")
        if len(found[1]) >= BAND_IMAGES:
            break
    bands = {rank: _quantiles(rows[:BAND_IMAGES], class_paths) for rank, rows in found.items()}
    return _Bands(bands, min(len(found[1]), BAND_IMAGES))


def _quantiles(rows: list[dict[str, float]], class_paths: ClassPaths) -> tuple[dict[str, float], dict[str, float]]:
    layers = class_paths.paths[0].layers
    columns = {layer: np.array([row[layer] for row in rows], dtype=np.float64) for layer in layers}
    known = {layer: values[np.isfinite(values)] for layer, values in columns.items()}
    low, high = (
        {layer: float(np.quantile(values, q)) for layer, values in known.items() if values.size} for q in (0.05, 0.95)
    )
    return low, high


def _write_bands(file: FilePath, bands: _Bands) -> None:
    text = json.dumps({"images": bands.images, "bands": {str(rank): pair for rank, pair in bands.by_rank.items()}})
    write_atomically(file, lambda partial: partial.write_text(text, encoding="utf-8"))


def _read_bands(file: FilePath) -> _Bands | None:
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        by_rank = {int(rank): (dict(low), dict(high)) for rank, (low, high) in stored["bands"].items()}
        return _Bands(by_rank, int(stored["images"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("measuring normal images again, %s is damaged: %s", file.name, error)
        return None
