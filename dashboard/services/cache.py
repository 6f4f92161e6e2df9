"""A store of results in memory, limited by what they weigh."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

_MISSING = object()


class ResultCache:
    """Keeps the most recently used results whose arrays together are below a limit."""

    def __init__(self, max_bytes: int) -> None:
        """Makes an empty cache."""
        self._max_bytes = max_bytes
        self._results: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable, default: object = None) -> Any:
        """The result under ``key``, or ``default``."""
        with self._lock:
            found = self._results.get(key)
            if found is None:
                return default
            self._results.move_to_end(key)
            return found[0]

    def keep(self, key: Hashable, result: object) -> None:
        """Stores a result; the ones not used for longest make room. One that is too large alone is not kept."""
        size = weight(result)
        with self._lock:
            self._bytes -= self._results.pop(key, (None, 0))[1]
            if size > self._max_bytes:
                return
            self._results[key] = (result, size)
            self._bytes += size
            while self._bytes > self._max_bytes:
                self._bytes -= self._results.popitem(last=False)[1][1]


def weight(result: object) -> int:
    """Bytes of the arrays and texts in a result, wherever they are in its fields; a little for everything else."""
    if isinstance(result, np.ndarray):
        return int(result.nbytes)
    if isinstance(result, str):
        return 100 + len(result)
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return 100 + sum(weight(getattr(result, field.name)) for field in dataclasses.fields(result))
    if isinstance(result, Mapping):
        return 100 + sum(weight(value) for value in result.values())
    if isinstance(result, tuple | list):
        return 100 + sum(weight(value) for value in result)
    return 100
