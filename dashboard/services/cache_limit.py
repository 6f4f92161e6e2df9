"""Keeps the cache on disk within its limit: what was used longest ago makes room."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from engine.files import PARTIAL, STATE
from engine.progress import Progress

# What another process writes, or resumes from, is left alone while it is as fresh as this; it counts all the same.
HALF_WAY = (PARTIAL, STATE)
HALF_WAY_S = 60.0
# A job looks so often, however often it reports.
LOOK_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class _Kept:
    path: Path
    size: int
    used: int
    half_way: bool


def make_room(cache: Path, limit: int) -> None:
    """Deletes the files of a cache that were used longest ago, until all together are within the limit.

    A file's time of modification says when it was used; :func:`engine.files.mark_used` sets it. Several processes may
    do this at once. Files that vanish meanwhile or cannot be deleted are no error.

    Args:
        cache: folder of files that can all be made again; its folders stay.
        limit: bytes.
    """
    files = _files(cache)
    size = sum(file.size for file in files)
    for file in sorted(files, key=lambda file: file.used):
        if size <= limit:
            return
        if not file.half_way:
            with contextlib.suppress(OSError):
                file.path.unlink(missing_ok=True)
                size -= file.size


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


def _files(cache: Path) -> list[_Kept]:
    now, found = time.time(), []
    for folder, _, names in os.walk(cache):
        for name in names:
            path = Path(folder, name)
            with contextlib.suppress(OSError):  # it has just gone
                about = path.lstat()
                fresh = now - about.st_mtime < HALF_WAY_S
                found.append(_Kept(path, about.st_size, about.st_mtime_ns, fresh and name.endswith(HALF_WAY)))
    return found
