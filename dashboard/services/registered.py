"""The classifiers there are, read again when their folder changes: one that a job made can be chosen at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from engine.network.classifiers import Classifier, available_classifiers
from engine.registry import Registry

Stamp = tuple[tuple[str, int], ...]


class Registered:
    """The shipped classifiers and those in a folder."""

    def __init__(self, folder: Path) -> None:
        """Reads the cards that are there; the folder may be absent."""
        self._folder = folder
        self._lock = threading.Lock()
        self._stamp = self._files()
        self._registry = available_classifiers(folder)

    def now(self) -> Registry[Classifier]:
        """The classifiers at this moment."""
        with self._lock:
            stamp = self._files()
            if stamp != self._stamp:
                self._registry, self._stamp = available_classifiers(self._folder), stamp
            return self._registry

    def _files(self) -> Stamp:
        """The names of the folder's files and when each was written; the card is written last."""
        try:
            with os.scandir(self._folder) as entries:
                return tuple(sorted((entry.name, entry.stat().st_mtime_ns) for entry in entries))
        except OSError:  # there is no folder yet, or a file has just gone: the next look sees what is left
            return ()
