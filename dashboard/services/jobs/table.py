"""The list of jobs on disk: one SQLite file that servers and jobs' processes share."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from engine.errors import EngineError

T = TypeVar("T")
Action = Callable[[sqlite3.Connection], T]
log = logging.getLogger(__name__)

# Others hold the lock for milliseconds; a machine under load may stop one of them in the middle of it.
BUSY_S = 15.0
FILE = "jobs.sqlite"
#: In the environment of a job's process: the Redis server that keeps the list, where no file does.
REDIS_LIST = "DETOUR_JOB_LIST"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, identity TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, label TEXT NOT NULL,
    settings TEXT NOT NULL, state TEXT NOT NULL, fraction REAL NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT '',
    created REAL NOT NULL, queued REAL NOT NULL, started REAL, ended REAL, heartbeat REAL, seconds_left REAL,
    cancel_asked REAL, error TEXT, attempt TEXT NOT NULL DEFAULT '', pid INTEGER, pid_created REAL,
    owner TEXT, owner_pid INTEGER, owner_created REAL, summary TEXT, manifest TEXT
)
"""


class JobListError(EngineError):
    """The list of jobs cannot be read or written."""


class JobList(Protocol):
    """A list of jobs that several processes read and change, wherever it is kept.

    Attributes:
        folder: holds a folder per job.
    """

    folder: Path

    def read(self, action: Action[T], otherwise: T) -> T:
        """What ``action`` finds; ``otherwise`` where there is no list yet. Raises :class:`JobListError`."""

    def write(self, action: Action[T]) -> T:
        """Does ``action`` as one change: all of it or nothing, nobody in between. Raises :class:`JobListError`."""


class JobTable:
    """Reads and changes the list of jobs, each time through a connection of its own.

    A connection is kept no longer than one action: none is shared by threads or inherited by a process, and a file
    that was replaced meanwhile is noticed.
    """

    def __init__(self, folder: Path, refill: Action[None] | None = None) -> None:
        """Uses ``folder``, which is made with the first job.

        Args:
            folder: holds the file and a folder per job.
            refill: lists what a fresh table can know from the jobs' folders; without it, a damaged table is an error.
        """
        self.folder = folder
        self.file = folder / FILE
        self._refill = refill

    def read(self, action: Action[T], otherwise: T) -> T:
        """What ``action`` finds; ``otherwise`` where there is no list yet.

        Raises:
            JobListError: if the list cannot be read.
        """
        return self._on_disk(action, "BEGIN") if self.folder.is_dir() else otherwise

    def write(self, action: Action[T]) -> T:
        """Does ``action`` as one change: all of it or nothing, and no other process in between.

        Raises:
            JobListError: if the list cannot be written.
        """
        return self._on_disk(action, "BEGIN IMMEDIATE")

    def _on_disk(self, action: Action[T], begin: str) -> T:
        try:
            return self._do(action, begin)
        except OSError as error:
            raise JobListError(
                f"The list of jobs in {self.folder} cannot be used ({error.strerror or error}); "
                "make the folder writable and its disk less full, or start with another --data-dir."
            ) from error

    def _do(self, action: Action[T], begin: str) -> T:
        try:
            if not self.file.exists():
                self._make()
            try:
                return self._transact(action, begin)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error) or self._refill is None:
                    raise
            self._make()
            return self._transact(action, begin)
        except sqlite3.Error as error:
            raise JobListError(
                f"The list of jobs {self.file} cannot be used ({error}); make it writable and its disk less full, "
                "or start with another --data-dir."
            ) from error

    def _transact(self, action: Action[T], begin: str) -> T:
        # mode=rw: a file that is gone is not made anew without its table.
        address = f"{self.file.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None)) as db:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA synchronous=NORMAL")
            return _in_transaction(db, action, begin)

    def _make(self) -> None:
        """Makes the file where there is none or a damaged one, and lists in it what the folders tell."""
        if self._refill is None:
            raise JobListError(f"There is no list of jobs at {self.file}.")
        self.folder.mkdir(parents=True, exist_ok=True)
        with _one_process(self.folder / ".repair.lock"):
            self._move_aside_if_damaged()
            with closing(sqlite3.connect(self.file, timeout=BUSY_S, isolation_level=None)) as db:
                db.row_factory = sqlite3.Row
                db.execute("PRAGMA journal_mode=WAL")
                refill = self._refill

                def fill(db: sqlite3.Connection) -> None:
                    fresh = not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'jobs'").fetchone()
                    db.execute(SCHEMA)
                    if fresh:
                        refill(db)

                _in_transaction(db, fill, "BEGIN IMMEDIATE")

    def _move_aside_if_damaged(self) -> None:
        if not self.file.exists():
            return
        try:
            with closing(sqlite3.connect(self.file, timeout=BUSY_S)) as db:
                found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            found = str(error)
        if found == "ok":
            return
        aside = self.file.with_name(f"{FILE}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
        log.warning("the list of jobs is damaged (%s); it is moved to %s and a fresh one made", found, aside)
        os.replace(self.file, aside)
        for suffix in ("-wal", "-shm"):
            self.file.with_name(FILE + suffix).unlink(missing_ok=True)


def _in_transaction(db: sqlite3.Connection, action: Action[T], begin: str) -> T:
    db.execute(begin)
    try:
        result = action(db)
        db.execute("COMMIT")
        return result
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _is_damage(error: sqlite3.Error) -> bool:
    # Extended codes keep the plain one in their low byte.
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in _DAMAGED or "no such table" in str(error)


@contextmanager
def _one_process(path: Path) -> Iterator[None]:
    """Lets one process, and one thread of it, in at a time."""
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
