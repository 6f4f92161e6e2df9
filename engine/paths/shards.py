"""Shards of work on threads, processes or other machines: a few at a time, results as they come."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import tempfile
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, TypeVar

from engine.errors import EngineError, InvalidInputError

T = TypeVar("T")
log = logging.getLogger(__name__)

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
        key: SHA-256 of the content.
        content: the pickled value, or the file on this machine that holds it.
    """

    key: str
    content: bytes | FilePath

    def open(self) -> Any:
        """The value: the same object each time, until the process opens another parcel.

        Raises:
            EngineError: if the file is gone or is another one.
        """
        with _OPENING:
            if self.key not in _OPENED:
                value = pickle.loads(self._read())
                _OPENED.clear()
                _OPENED[self.key] = value
            return _OPENED[self.key]

    def _read(self) -> bytes:
        if isinstance(self.content, bytes):
            return self.content
        try:
            content = self.content.read_bytes()
        except OSError as error:
            raise EngineError(
                f"{self.content}: what all shards have in common cannot be read ({error.strerror or error}). Leave the "
                "file alone while the work goes on, and give it the work again."
            ) from error
        if hashlib.sha256(content).hexdigest() != self.key:
            raise EngineError(f"{self.content}: expected what all shards have in common; something else was put there.")
        return content


_OPENING = threading.Lock()
_OPENED: dict[str, Any] = {}


@contextmanager
def shared(executor: Executor, value: object) -> Iterator[Any]:
    """What to give to the executor's tasks in place of ``value``; :func:`opened` turns it into the value there.

    An executor that shares nothing itself has the value pickled with each task. The processes of a
    ``ProcessPoolExecutor`` are on this machine: they read it from a temporary file, once each, however they were
    started; the file is removed when the block ends, and left in the temporary folder if this process is killed.

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
    file = _on_disk(content) if isinstance(executor, ProcessPoolExecutor) else None
    try:
        yield Parcel(hashlib.sha256(content).hexdigest(), file or content)
    finally:
        if file is not None:
            with suppress(OSError):
                file.unlink()


def _on_disk(content: bytes) -> FilePath | None:
    """A temporary file of that content, which other users cannot read; None where there is no room for it."""
    file = None
    try:
        handle, name = tempfile.mkstemp(prefix="detour-", suffix=".shared")
        file = FilePath(name)
        with open(handle, "wb") as filled:
            filled.write(content)
        return file
    except OSError as error:
        log.warning("the model travels with each shard, for no file can hold it (%s)", error)
        if file is not None:
            file.unlink(missing_ok=True)
        return None


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
                pending[_handed_out(submit, index)] = index
            finished, _ = wait(pending, timeout=_MEANWHILE_EVERY, return_when=FIRST_COMPLETED)
            if not finished:
                meanwhile()
            for future in finished:
                yield pending.pop(future), _result(future)
    finally:
        for future in pending:
            future.cancel()


def _handed_out(submit: Callable[[int], Future[T]], index: int) -> Future[T]:
    try:
        return submit(index)
    except BrokenExecutor as error:  # a worker ended while no result was waited for
        raise _lost_worker(error) from error


def _result(future: Future[T]) -> T:
    try:
        return future.result()
    except CancelledError as error:
        raise EngineError(
            "The executor cancelled a shard of images: was it shut down? Give it the work again."
        ) from error
    except BrokenExecutor as error:
        raise _lost_worker(error) from error


def _lost_worker(error: BrokenExecutor) -> EngineError:
    return EngineError(
        f"A worker process ended in the middle of its work ({str(error).rstrip('.')}). Most often memory ran out; "
        "use fewer workers."
    )
