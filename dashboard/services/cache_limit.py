"""Keeps the cache on disk within its limit: what was used longest ago makes room."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.files import DAMAGED, PARTIAL, STATE
from engine.progress import Progress

log = logging.getLogger(__name__)

# What another process writes, or resumes from, is left alone while it is as fresh as this.
HALF_WAY = (PARTIAL, STATE)
HALF_WAY_S = 60.0
# A job looks so often, however often it reports.
LOOK_EVERY_S = 5.0
# Nobody is told to compute for hours again what he used within this time, though it alone is above the limit.
IN_USE_S = 7 * 24 * 3600.0
_MB = 2**20

# What was last said of a cache, and what was said ever.
_notices: dict[Path, str] = {}
_logged: set[tuple[Path, int]] = set()


@dataclass(frozen=True, slots=True)
class _Result:
    """Files of one folder that belong together: their names are the same up to the first full stop.

    Attributes:
        name: folder and stem.
        sizes: bytes of each file.
        used: when the last of them was, in ns.
        half_way: whether one of them is being written, or resumed from.
    """

    name: Path
    sizes: dict[Path, int]
    used: int
    half_way: bool

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(self.sizes.values())


def make_room(cache: Path, limit: int) -> None:
    """Deletes the results in a cache that were used longest ago, until all together are within the limit.

    A file's time of modification says when it was used; :func:`engine.files.mark_used` sets it. Files of one folder
    and stem, as ``a.npz`` and ``a.json``, are one result: they stay or go together. A result that alone is above the
    limit would go each time and be computed again each time. The one of them that was used last, within
    :data:`IN_USE_S`, therefore stays and is not counted, nor is one so large that is still being written: all others
    keep to the limit, as if they were not there.
    That is logged once, and :func:`notice` says it.

    Several processes may do this at once. Files that vanish meanwhile or cannot be deleted are no error.

    Args:
        cache: folder of files that can all be made again; its folders stay.
        limit: bytes.
    """
    results = sorted(_results(cache), key=lambda result: result.used)
    kept = _kept_beside(results, limit)
    _tell(cache, limit, kept)
    # Those too large to stay go first: no other need make room for them.
    counted = sorted((r for r in results if r not in kept), key=lambda result: result.size <= limit)
    size = sum(result.size for result in counted)
    for result in counted:
        if size <= limit:
            return
        if not result.half_way:
            size -= _delete(result)


def notice(cache: Path) -> str:
    """What visitors should know about a cache since this process last made room there, "" for nothing."""
    return _notices.get(cache, "")


def making_room(progress: Progress, cache: Path, limit: int) -> Progress:
    """A progress callback for work that fills the cache: now and then it also makes room there."""
    looked = time.monotonic()

    def report(fraction: float, message: str) -> None:
        nonlocal looked
        if time.monotonic() - looked >= LOOK_EVERY_S:
            make_room(cache, limit)
            looked = time.monotonic()
        progress(fraction, message)

    return report


def _results(cache: Path) -> Iterable[_Result]:
    now = time.time()
    found: dict[Path, list[tuple[Path, int, int, bool]]] = {}
    for folder, _, names in os.walk(cache):
        for name in names:
            path = Path(folder, name)
            with contextlib.suppress(OSError):  # it has just gone
                about = path.lstat()
                half_way = now - about.st_mtime < HALF_WAY_S and name.endswith(HALF_WAY)
                # A temporary file is called as what it will be, with a full stop before.
                # One set aside is of no use to the result that has its place.
                stem = name if name.endswith(DAMAGED) else name.lstrip(".").partition(".")[0]
                found.setdefault(Path(folder, stem), []).append((path, about.st_size, about.st_mtime_ns, half_way))
    for key, files in found.items():
        sizes = {path: size for path, size, *_ in files}
        yield _Result(key, sizes, max(used for _, _, used, _ in files), any(half_way for *_, half_way in files))


def _kept_beside(results: list[_Result], limit: int) -> list[_Result]:
    """Of results in the order of their use, those above the limit that stay: what is half-way, and the last used."""
    large = [result for result in results if result.size > limit]
    in_use = [r for r in large if not r.half_way and time.time() - r.used / 1e9 < IN_USE_S]
    return [r for r in large if r.half_way] + in_use[-1:]


def _tell(cache: Path, limit: int, kept: list[_Result]) -> None:
    """Logs once what stays above the limit, and keeps it for :func:`notice`."""
    sentences = []
    for result in kept:
        file = max(result.sizes, key=result.sizes.__getitem__)
        sentence = (
            f"{file.relative_to(cache)} in the cache alone is above its limit of {limit / _MB:,.0f} MB: it takes "
            f"{result.size / _MB:,.0f} MB. It stays while it is used and no other so large is; start with "
            f"--cache-mb {math.ceil(result.size / _MB * 1.5)} or more, and others can stay with it."
        )
        sentences.append(sentence)
        about = (result.name, limit)
        if about not in _logged:
            _logged.add(about)
            log.warning("%s", sentence)
    _notices[cache] = " ".join(sentences)


def _delete(result: _Result) -> int:
    """Deletes a result; returns the bytes that this has freed."""
    freed = 0
    for path, size in result.sizes.items():
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            freed += size
    return freed
