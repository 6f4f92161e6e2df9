"""Work on many machines: a dask cluster as an executor. dask.distributed is an optional extra."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import pickle
import re
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from engine.errors import EngineError, InvalidInputError
from engine.paths.shards import SharingExecutor
from engine.version import VERSION

T = TypeVar("T")

PACKAGE = "distributed"
INSTALL = 'pip install "distributed>=2025"'
CONNECT_WITHIN = 10.0  # seconds
#: So long a cluster may be without any worker before work on it fails: one that died is started again meanwhile.
WORKERS_WITHIN = 60.0  # seconds

_ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://\S+:\d+")
# A shard's images are more than dask likes to see among a task's arguments; why they are there says Cluster.submit.
_LARGE = {"distributed.admin.large-graph-warning-threshold": "4 GB"}

_START = "Start scheduler and workers as python -m dask in this program's folder, with the same packages."


def check_usable(address: str) -> str:
    """The address, if it has the form of a scheduler's and the package is there; nobody is called yet.

    Raises:
        InvalidInputError: for an address of another form.
        EngineError: if the package is absent.
    """
    if not _ADDRESS.fullmatch(address):
        raise InvalidInputError(f"expected the address of a dask scheduler, tcp://HOST:PORT; got {address!r}.")
    if importlib.util.find_spec(PACKAGE) is None:
        raise EngineError(f"Work on a cluster needs the package {PACKAGE}, which is not installed: {INSTALL}")
    return address


@contextmanager
def connected(address: str, timeout: float = CONNECT_WITHIN) -> Iterator[Cluster]:
    """The cluster inside the block; what still waits there is cancelled and forgotten when the block ends."""
    cluster = connect(address, timeout)
    try:
        yield cluster
    finally:
        cluster.shutdown()


def connect(address: str, timeout: float = CONNECT_WITHIN) -> Cluster:
    """An executor over the workers of a dask scheduler; end it with ``shutdown``, or use :func:`connected`.

    Args:
        address: tcp://HOST:PORT.
        timeout: seconds to wait for the scheduler, and for its first worker.

    Raises:
        InvalidInputError: for an address of another form.
        EngineError: if the package is absent, or scheduler or workers are not there in time.
    """
    check_usable(address)
    distributed = importlib.import_module(PACKAGE)
    try:
        client = distributed.Client(address, timeout=timeout, set_as_default=False)
    except (OSError, ValueError, ImportError) as error:  # a TimeoutError is an OSError
        raise EngineError(
            f"No dask scheduler answers at {address} ({_sentence(error)}). Start one with: python -m dask scheduler"
        ) from error
    cluster = Cluster(client, address)
    try:
        client.wait_for_workers(1, timeout=timeout)
        cluster.check_workers()
    except OSError as error:
        cluster.shutdown()
        raise EngineError(_no_workers(address, timeout)) from error
    except BaseException:
        cluster.shutdown()
        raise
    return cluster


class Cluster(SharingExecutor):
    """A dask cluster with the interface of ``concurrent.futures``; made by :func:`connect`.

    A task whose worker dies runs again on another one; a task that raises does not, its error arrives.
    """

    def __init__(self, client: Any, address: str) -> None:
        """Takes over a ``distributed.Client``."""
        self._client = client
        self._address = address
        self._seen = time.monotonic()  # when there was a worker last

    def check_workers(self) -> None:
        """Sees that all workers have this engine; one that cannot import it would end, and the next one too.

        Raises:
            EngineError: if one has not, or has another version.
        """
        for worker, answer in self._client.run(_version, on_error="return").items():
            if isinstance(answer, Exception) and not isinstance(answer, OSError):  # which one that has just gone gives
                raise EngineError(
                    f"The dask worker at {worker} cannot import the engine ({_sentence(answer)}). {_START}"
                )
            if isinstance(answer, str) and answer != VERSION:
                raise EngineError(f"The dask worker at {worker} has version {answer}; expected {VERSION}. {_START}")

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Runs ``fn(*args, **kwargs)`` on a worker. Cancelling the future takes the task back.

        The scheduler keeps the arguments with the task. Data that was scattered to workers instead would be lost with
        them, and files that this machine can read a worker may not see.
        """
        with self._large_tasks():
            there = self._client.submit(partial(fn, **kwargs), *args, pure=False)  # dask takes some names for its own
        return asyncio.run_coroutine_threadsafe(self._outcome(there), self._client.loop.asyncio_loop)

    async def _outcome(self, there: Any) -> Any:
        try:
            return await there
        except Exception as error:
            raise self._told(error) from error
        except asyncio.CancelledError as error:
            if not there.cancelled():
                raise  # by the caller
            raise EngineError(
                f"The dask cluster at {self._address} was lost ({_sentence(error)}). See that its scheduler runs, and "
                "give the work again."
            ) from error
        finally:
            there.release()

    def _told(self, error: Exception) -> Exception:
        """The error as a person should read it; one that the work itself raised stays as it is."""
        from distributed.scheduler import KilledWorker

        if isinstance(error, EngineError):
            return error
        if isinstance(error, KilledWorker):
            return EngineError(
                f"Every worker of the dask cluster at {self._address} that had one shard of images died while it "
                f"worked on it, {error.allowed_failures + 1} in all. Most often memory ran out: give workers more of "
                "it, or fewer threads (--nthreads)."
            )
        if isinstance(error, ImportError) or "deserialization" in str(error):
            return EngineError(
                f"The dask cluster at {self._address} cannot read its tasks ({_sentence(error)}). {_START} A model of "
                "your own must be importable there too."
            )
        return error

    @contextmanager
    def shared(self, value: object) -> Iterator[Any]:
        """Sends ``value`` once; a worker that needs it has it from another, or unpickles it again if all have died."""
        cloudpickle = importlib.import_module("cloudpickle")  # comes with dask; takes classes of a notebook along
        content = np.frombuffer(cloudpickle.dumps(value), np.uint8)
        with self._large_tasks():
            there = self._client.submit(_unpickled, content, key=f"shared-{uuid.uuid4()}")
        try:
            yield there
        finally:
            there.release()

    def capacity(self) -> int:
        """Threads of all workers together.

        Raises:
            EngineError: if there has been no worker for :data:`WORKERS_WITHIN`, or no scheduler is left.
        """
        try:
            threads: int = sum(self._client.nthreads().values())
        except (OSError, RuntimeError, ValueError) as error:  # also of a client that has given up
            raise EngineError(f"The dask scheduler at {self._address} answers no more ({_sentence(error)}).") from error
        now = time.monotonic()
        if threads:
            self._seen = now
        elif now - self._seen > WORKERS_WITHIN:
            raise EngineError(_no_workers(self._address, WORKERS_WITHIN))
        return max(1, threads)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leaves the cluster, which forgets everything that was asked of it. Its workers stay."""
        self._client.close()

    @staticmethod
    def _large_tasks() -> Any:
        return importlib.import_module("dask").config.set(_LARGE)


def _version() -> str:
    return VERSION


def _unpickled(content: npt.NDArray[np.uint8]) -> object:
    return pickle.loads(content.data)


def _no_workers(address: str, seconds: float) -> str:
    return (
        f"The dask cluster at {address} has had no worker for {seconds:.0f} s. Start some, in this program's folder: "
        f"python -m dask worker {address}"
    )


def _sentence(error: BaseException) -> str:
    """The first sentence of an error, without its full stop."""
    return " ".join(str(error).split()).partition(". ")[0].rstrip(".") or type(error).__name__
