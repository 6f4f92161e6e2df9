"""Who runs the jobs of a data directory: applications without Redis, or workers through one Redis server.

Each keeps a list of its own, and takes what it finds in the folder for its own: with both, jobs would run twice. So
applications without Redis share a lock while they live, as do the processes of their jobs; who puts the jobs on Redis
has the lock alone while the folder gets a mark, and the mark stays.
"""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dashboard.services.jobs.table import FILE as LIST
from dashboard.services.jobs.table import JobListError

log = logging.getLogger(__name__)

#: Beside the folder of the jobs, and in it.
LOCK, MARK = "jobs.lock", "redis-list.txt"
# Whoever has the lock alone needs it for milliseconds.
_PATIENCE_S, _AGAIN_S = 3.0, 0.05


@dataclass(frozen=True, slots=True)
class Mark:
    """What a folder of jobs says of the Redis server that has their list.

    Attributes:
        key: random; the database has the same.
        address: by which it was called last, without a password; "" where that is not known.
    """

    key: str
    address: str


def read_mark(folder: Path) -> Mark | None:
    """The mark of a folder of jobs, or None where their list is not on Redis.

    Raises:
        JobListError: if it is damaged.
        OSError: if it cannot be read.
    """
    try:
        key, _, address = (folder / MARK).read_text(encoding="utf-8").partition("\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        key, address = "", ""
    if not key.strip():
        raise JobListError(
            f"{folder / MARK} is damaged: it should say which Redis server keeps the list of these jobs. Delete it, "
            "and start with the --redis that they belong to, or without one if there is none any more."
        )
    return Mark(key.strip(), address.strip())


class Residence:
    """That an application without Redis runs the jobs of a folder, until it is closed.

    Attributes:
        handles: open files that the processes of its jobs keep open: the jobs run here as long as they do.
    """

    def __init__(self, folder: Path) -> None:
        """Moves in. Where nothing can be locked, the mark alone is heeded.

        Raises:
            JobListError: if the jobs' list is on Redis.
        """
        self.handles: tuple[int, ...] = ()
        try:
            handle = _open(folder)
            self.handles = (handle,)
            fcntl.flock(handle, fcntl.LOCK_SH)
        except OSError as error:
            log.warning("applications with --redis are not kept from the jobs in %s: %s", folder, error)
        try:
            _require_no_mark(folder)
            self._sign()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Moves out."""
        for handle in self.handles:
            os.close(handle)
        self.handles = ()

    def _sign(self) -> None:
        """Tells others who is here."""
        for handle in self.handles:
            with suppress(OSError):  # on a full disk nobody is named
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"process {os.getpid()} on {platform.node()}".encode(), 0)


@contextmanager
def empty(folder: Path) -> Iterator[None]:
    """Inside the block no application without Redis runs the jobs of a folder; or the folder has a mark already.

    Raises:
        JobListError: if one does.
        OSError: if the folder cannot be written.
    """
    handle, begin = _open(folder), time.monotonic()
    try:
        while read_mark(folder) is None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() - begin > _PATIENCE_S:
                    raise JobListError(_occupied(folder, handle)) from error
                time.sleep(_AGAIN_S)
            except OSError as error:
                log.warning("applications without --redis are not noticed in %s: %s", folder, error)
                break
        yield
    finally:
        os.close(handle)


def set_list_aside(folder: Path, key: str) -> None:
    """Renames the list that applications without Redis have left: Redis has another, which goes on.

    Who runs the jobs without Redis again later then lists them anew from their folders. Several processes may do this
    at once.

    Args:
        folder: of the jobs.
        key: of the mark; the files' new names have it, the same for all who do this.
    """
    aside = f"{LIST}.before-redis-{key}"
    for suffix in ("-wal", "-shm", ""):  # the list itself last: what is left of a crash is found again
        with suppress(FileNotFoundError):
            os.replace(folder / (LIST + suffix), folder / (aside + suffix))


def _open(folder: Path) -> int:
    folder.parent.mkdir(parents=True, exist_ok=True)
    return os.open(folder.parent / LOCK, os.O_RDWR | os.O_CREAT, 0o644)


def _require_no_mark(folder: Path) -> None:
    try:
        mark = read_mark(folder)
    except OSError:  # nothing there can be used, which is told where somebody tries
        return
    if mark is None:
        return
    where, option = (f"at {mark.address} ", f" {mark.address}") if mark.address else ("", " and its address")
    raise JobListError(
        f"The jobs in {folder} belong to the Redis server {where}and its workers; an application without --redis would "
        f"run them a second time. Start with --redis{option}, or with another --data-dir. If that server is gone for "
        f"good, end its workers, delete {folder / MARK} and start again: sound results are listed anew, and other jobs "
        "can be run again."
    )


def _occupied(folder: Path, handle: int) -> str:
    who = os.pread(handle, 500, 0).decode("utf-8", "replace").strip()
    named = f" (the last to start was {who})" if who else ""
    return (
        f"An application without --redis{named} runs the jobs in {folder}, or was killed and they "
        "run on; through Redis they would be run a second time. End it and them first, start without --redis, or give "
        "another --data-dir."
    )
