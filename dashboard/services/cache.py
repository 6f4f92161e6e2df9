"""A small store of results in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class ResultCache:
    """Keeps the most recently used results; asked for one that is being computed, a second caller waits for the first.

    Several figures of a page need the same attack or path at the same moment, each in its own request.
    """

    def __init__(self, size: int) -> None:
        """Makes an empty cache of at most ``size`` results."""
        self._size = size
        self._results: OrderedDict[Hashable, Any] = OrderedDict()
        self._under_way: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """The result under ``key``, computed if it is not there. An error is passed on and not kept."""
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
                return self._results[key]
            turn = self._under_way.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if key in self._results:
                    return self._results[key]
            try:
                result = compute()
                self._keep(key, result)
            finally:
                with self._lock:
                    self._under_way.pop(key, None)
        return result

    def _keep(self, key: Hashable, result: object) -> None:
        with self._lock:
            self._results[key] = result
            self._results.move_to_end(key)
            while len(self._results) > self._size:
                self._results.popitem(last=False)
