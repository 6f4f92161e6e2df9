"""Results that are computed beside the requests, so that a slow one does not hold up the server."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from dashboard.services.cache import ResultCache
from engine.errors import Cancelled, EngineError
from engine.progress import Progress

T = TypeVar("T")
log = logging.getLogger(__name__)

WORKERS = 2
# A request waits so long for a result; usual ones are there by then, so that a page is drawn in one go.
PATIENCE_S = 0.4
# Work that nobody has asked about for so long is given up.
FORGOTTEN_AFTER_S = 10.0
# A failure is remembered for so long: every card of a page asks for it, and must not start it again.
REMEMBERED_S = 10.0


class Pending(Exception):
    """Raised for a result that is still being computed; ask again.

    Attributes:
        fraction: finished share, in [0, 1].
        message: what is being done.
    """

    def __init__(self, fraction: float, message: str) -> None:
        """Takes how far it is."""
        super().__init__(message)
        self.fraction = fraction
        self.message = message


class _Task:
    def __init__(self) -> None:
        self.future: Future[Any] = Future()
        self.asked = time.monotonic()
        self.fraction = 0.0
        self.message = "waiting for its turn"
        self.ended: float | None = None


class Computations:
    """Computes each result once, on a few threads of its own, and keeps it in a cache."""

    def __init__(self, cache: ResultCache) -> None:
        """Keeps results in ``cache``."""
        self._cache = cache
        self._tasks: dict[Hashable, _Task] = {}
        self._lock = threading.Lock()
        self._queue: SimpleQueue[tuple[Hashable, _Task, Callable[[Progress], object]]] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def get(self, key: Hashable, compute: Callable[[Progress], T], patience: float | None = None) -> T:
        """The result under ``key``.

        Args:
            key: what identifies it.
            compute: makes it; told to stop (by Cancelled from its progress) when nobody asks any more.
            patience: seconds to wait for it; :data:`PATIENCE_S` if None.

        Raises:
            Pending: if it is not there by then; the work goes on.
            EngineError: if it cannot be computed.
        """
        found = self._cache.get(key)
        if found is not None:
            return found
        with self._lock:
            task = self._tasks.get(key)
            if task is None or (task.ended is not None and time.monotonic() - task.ended > REMEMBERED_S):
                task = self._tasks[key] = _Task()
                self._queue.put((key, task, compute))
                self._start_threads()
            task.asked = time.monotonic()
        try:
            return task.future.result(timeout=PATIENCE_S if patience is None else patience)
        except TimeoutError:
            raise Pending(task.fraction, task.message) from None

    def _start_threads(self) -> None:
        # Daemons, unlike an executor's: the server stops at once, whatever they are at.
        while len(self._threads) < WORKERS:
            thread = threading.Thread(target=self._work, name=f"computation {len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while True:
            self._run(*self._queue.get())

    def _run(self, key: Hashable, task: _Task, compute: Callable[[Progress], object]) -> None:
        def progress(fraction: float, message: str) -> None:
            task.fraction, task.message = fraction, message
            if time.monotonic() - task.asked > FORGOTTEN_AFTER_S:
                raise Cancelled("Nobody waits for this result any more.")

        result: object = None
        error: Exception | None = None
        try:
            progress(0.0, "started")
            result = compute(progress)
            self._cache.keep(key, result)
        except EngineError as known:
            error = known
        except Exception:
            log.exception("computing %s failed", key)
            error = EngineError("The computation failed; the server's log has the details.")
        self._end(key, task, error)
        # Last, so that whoever gets the answer and asks again finds the task ended.
        if error is None:
            task.future.set_result(result)
        else:
            task.future.set_exception(error)

    def _end(self, key: Hashable, task: _Task, error: Exception | None) -> None:
        with self._lock:
            task.ended = time.monotonic()
            if error is None or isinstance(error, Cancelled):
                self._tasks.pop(key, None)
            self._drop_old()

    def _drop_old(self) -> None:
        now = time.monotonic()
        old = [key for key, task in self._tasks.items() if task.ended is not None and now - task.ended > REMEMBERED_S]
        for key in old:
            del self._tasks[key]
