"""Shards of work on threads, processes or other machines: a few at a time, results as they come."""

from __future__ import annotations

import hashlib
import os
import pickle
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from engine.errors import EngineError, InvalidInputError

T = TypeVar("T")

# Shards handed out for each that is worked on: no worker waits for its next one, and memory holds only a few.
_AHEAD = 2
_MEANWHILE_EVERY = 1.0  # seconds


class SharingExecutor(Executor):
    """An executor that knows how many workers it has, and takes to them once what all tasks need."""

    @abstractmethod
    def capacity(self) -> int:
        """Tasks that are worked on at once, as the workers are now; at least 1.

        Raises:
            EngineError: if there is nobody to work any more.
        """

    @abstractmethod
    def shared(self, value: object) -> AbstractContextManager[Any]:
        """Stands for ``value`` among the arguments of tasks; the workers let go of it when the block ends."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A value that was pickled once, and is unpickled once by each process.

    Attributes:
        key: hash of the content.
        content: the pickled value.
    """

    key: str
    content: bytes

    def open(self) -> Any:
        """The value: the same object each time, until the process opens another parcel."""
        with _OPENING:
            if self.key not in _OPENED:
                _OPENED.clear()
                _OPENED[self.key] = pickle.loads(self.content)
            return _OPENED[self.key]


_OPENING = threading.Lock()
_OPENED: dict[str, Any] = {}


@contextmanager
def shared(executor: Executor, value: object) -> Iterator[Any]:
    """What to give to the executor's tasks in place of ``value``; :func:`opened` turns it into the value there.

    Raises:
        InvalidInputError: if the value cannot be pickled.
    """
    if isinstance(executor, SharingExecutor):
        with executor.shared(value) as there:
            yield there
        return
    try:
        content = pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InvalidInputError(
            f"expected a model that can be sent to other processes; pickling it failed ({error}). "
            "Define its classes and functions at the top of a module."
        ) from error
    yield Parcel(hashlib.sha256(content).hexdigest(), content)


def opened(given: Any) -> Any:
    """On a worker: the value that :func:`shared` stood for."""
    return given.open() if isinstance(given, Parcel) else given


def capacity_of(executor: Executor, workers: int | None = None) -> int:
    """Tasks that an executor works on at once; where it does not say, ``workers`` or the number of processors."""
    return executor.capacity() if isinstance(executor, SharingExecutor) else workers or os.cpu_count() or 1


def nothing() -> None:
    """A callback for nobody."""


def run_shards(
    submit: Callable[[int], Future[T]],
    indices: Iterable[int],
    capacity: Callable[[], int],
    meanwhile: Callable[[], None] = nothing,
) -> Generator[tuple[int, T]]:
    """Each shard's index and result, as they come. When the iterator is closed, what waits is cancelled.

    Args:
        submit: hands out the shard of an index.
        indices: the shards.
        capacity: how many are worked on at once; asked again and again, for workers come and go.
        meanwhile: called every second in which no shard was finished; what it raises stops the work.

    Raises:
        EngineError: if the workers are gone. What a shard raises itself comes through.
    """
    waiting = deque(indices)
    pending: dict[Future[T], int] = {}
    try:
        while waiting or pending:
            room = _AHEAD * capacity()
            while waiting and len(pending) < room:
                index = waiting.popleft()
                pending[submit(index)] = index
            finished, _ = wait(pending, timeout=_MEANWHILE_EVERY, return_when=FIRST_COMPLETED)
            if not finished:
                meanwhile()
            for future in finished:
                yield pending.pop(future), _result(future)
    finally:
        for future in pending:
            future.cancel()


def _result(future: Future[T]) -> T:
    try:
        return future.result()
    except CancelledError as error:
        raise EngineError(
            "The executor cancelled a shard of images: was it shut down? Give it the work again."
        ) from error
    except BrokenExecutor as error:
        raise EngineError(
            f"A worker process ended in the middle of its work ({error}) Most often memory ran out; use fewer workers."
        ) from error
