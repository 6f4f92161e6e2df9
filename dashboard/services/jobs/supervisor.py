"""The thread of a server that starts jobs, follows their processes and ends them."""

from __future__ import annotations

import contextlib
import logging
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dashboard.services.jobs import transitions
from dashboard.services.jobs.failures import LOST, STOPPED, sentence_of_exit
from dashboard.services.jobs.folders import JobFolder, check
from dashboard.services.jobs.processes import (
    Identity,
    has_ended,
    identify,
    kill_what_is_left,
    lives,
    signal_group,
)
from dashboard.services.jobs.table import JobList
from dashboard.services.jobs.transitions import Owner, Row
from engine.errors import EngineError

log = logging.getLogger(__name__)

#: Starts the process of a job's attempt.
Spawn = Callable[[str, str], subprocess.Popen]

LOOK_S = 0.3
IDLE_S = 2.0
# A job that is asked to stop has this long until it is told by a signal, and this long until it is killed.
ASKED_S, GRACE_S = 2.0, 5.0
CLOSING_S = 5.0


class Supervisor:
    """Follows the jobs that its queue started, and those of servers that are gone."""

    def __init__(self, table: JobList, owner: Owner, slots: int, spawn: Spawn) -> None:
        """Does nothing before :meth:`start`."""
        self._table = table
        self._owner = owner
        self._slots = slots
        self._spawn = spawn
        self._children: dict[tuple[str, str], subprocess.Popen] = {}
        self._unclaimed: dict[tuple[str, str], float] = {}
        self._problem = ""
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Settles what an earlier server left behind, then goes on in the background."""
        with contextlib.suppress(EngineError):
            self._follow(self._rows())
        self._thread.start()

    def wake(self) -> None:
        """Something changed: looks at once."""
        self._wake.set()

    def close(self) -> None:
        """Ends all processes this queue follows; their jobs are interrupted. Takes some seconds at most."""
        self._closing.set()
        self.wake()
        self._thread.join()
        rows: list[Row] = []
        try:
            rows = [row for row in self._rows() if row["state"] == "running" and row["owner"] == self._owner.name]
        except EngineError as error:
            log.warning("jobs are ended though the list cannot be read: %s", error)
        self._end_processes({Identity(row["pid"], row["pid_created"]) for row in rows})
        for row in rows:
            with contextlib.suppress(EngineError):  # the next server finds the process gone
                end_without_word(self._table, row, "interrupted", STOPPED)

    def _end_processes(self, processes: set[Identity]) -> None:
        for process in processes:
            if lives(process):
                signal_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + CLOSING_S
        while any(lives(process) for process in processes) and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        for process in processes:
            kill_what_is_left(process)
        for key in list(self._children):
            self._reap(key)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                busy = self._look()
                self._problem = ""
            except Exception as error:
                # The thread must live on: without it no job would ever start or end again.
                busy = False
                self._warn(error)
            # However often it is woken, it does not look more often than this.
            self._closing.wait(LOOK_S)
            if not busy:
                self._wake.wait(IDLE_S)
            self._wake.clear()

    def _warn(self, error: Exception) -> None:
        """Logs a problem once, though it is met again every few seconds."""
        if str(error) != self._problem:
            log.warning("looking after the jobs failed; it is tried again", exc_info=error)
        self._problem = str(error)

    def _rows(self) -> list[Row]:
        return self._table.read(transitions.unfinished, [])

    def _look(self) -> bool:
        """One round; returns whether there is work under way."""
        rows = self._rows()
        self._follow(rows)
        self._end_unclaimed(rows)
        for row in rows:
            if row["state"] == "running" and row["cancel_asked"] is not None and row["owner"] == self._owner.name:
                self._press(row)
        self._start_waiting(rows)
        return bool(rows or self._children)

    def _start_waiting(self, rows: list[Row]) -> None:
        waiting = any(row["state"] == "queued" for row in rows)
        while waiting and not self._closing.is_set():
            started = self._table.write(self._start_next)
            if started is None:
                return

    def _start_next(self, db: sqlite3.Connection, claim: str = "") -> tuple[str, str] | None:
        def spawn(job_id: str, attempt: str) -> Identity:
            child = self._spawn(job_id, attempt)
            self._children[job_id, attempt] = child
            return identify(child.pid)

        return transitions.start_next(db, self._owner, self._slots, spawn, claim)

    def _follow(self, rows: list[Row]) -> None:
        """Notices processes that ended, and servers that are gone."""
        owners: dict[Identity, bool] = {}
        for row in rows:
            if row["state"] != "running":
                continue
            process = Identity(row["pid"], row["pid_created"])
            server = Identity(row["owner_pid"], row["owner_created"])
            child = self._children.get((row["id"], row["attempt"]))
            if child is not None:
                if has_ended(child.pid):
                    self._reap((row["id"], row["attempt"]))
                    self._settle(row, child.returncode)
            elif row["owner"] == self._owner.name:
                if not lives(process):
                    self._settle(row, None)
            elif not owners.setdefault(server, lives(server)):
                self._take_over(row, process)

    def _take_over(self, row: Row, process: Identity) -> None:
        if not lives(process):
            self._settle(row, None)
            return
        log.info("job %s of a server that is gone is followed further", row["id"])
        self._table.write(lambda db: transitions.adopt(db, row, self._owner))

    def _settle(self, row: Row, code: int | None) -> None:
        """Says how a job ended whose process did not say so itself."""
        if code is None:  # its own child's group went when it was reaped
            kill_what_is_left(Identity(row["pid"], row["pid_created"]))
        if row["cancel_asked"] is not None:
            end_without_word(self._table, row, "cancelled", None)
        elif code is None:
            end_without_word(self._table, row, "interrupted", LOST)
        else:
            end_without_word(self._table, row, "failed", sentence_of_exit(code))

    def _reap(self, key: tuple[str, str]) -> None:
        """Takes an ended child off the list of processes, with what it has left behind."""
        child = self._children[key]
        signal_group(child.pid, signal.SIGKILL)
        child.wait()
        del self._children[key]
        self._unclaimed.pop(key, None)

    def _end_unclaimed(self, rows: list[Row]) -> None:
        """Reaps processes whose job has ended; one that stays all the same is killed."""
        claimed = {(row["id"], row["attempt"]) for row in rows if row["state"] == "running"}
        self._unclaimed = {key: since for key, since in self._unclaimed.items() if key not in claimed}
        for key in [key for key in self._children if key not in claimed]:
            child = self._children[key]
            since = self._unclaimed.setdefault(key, time.monotonic())
            if has_ended(child.pid):
                self._reap(key)
            elif time.monotonic() - since > GRACE_S:
                signal_group(child.pid, signal.SIGKILL)

    def _press(self, row: Row) -> None:
        """Ends a job that was asked to stop and does not."""
        process = Identity(row["pid"], row["pid_created"])
        waited = time.time() - row["cancel_asked"]
        if waited < ASKED_S or not lives(process):
            return
        signal_group(process.pid, signal.SIGTERM if waited < GRACE_S else signal.SIGKILL)


def end_without_word(table: JobList, row: Row, state: transitions.State, error: str | None) -> None:
    """Ends an attempt whose process can say no more; it is done where its result is in place.

    Args:
        table: the list of jobs.
        row: the attempt's, as it was read.
        state: how it ended if there is no result.
        error: one sentence for that, or None.
    """
    folder = JobFolder(table.folder / row["id"])
    sealed = None
    with contextlib.suppress(EngineError):
        sealed = check(folder.result)

    def end(db: sqlite3.Connection) -> bool:
        # Its result may be in place: the process then died just before it could say so.
        if sealed is not None and sealed.attempt == row["attempt"]:
            return transitions.finish(db, row["id"], row["attempt"], sealed.summary, sealed.manifest)
        return transitions.end(db, row["id"], row["attempt"], state, error)

    if table.write(end):
        log.warning("job %s: %s", row["id"], error or state)
    folder.drop_partial(row["attempt"])


def spawn_with(
    command: list[str], environment: dict[str, str], log_file: Path, keep_open: Sequence[int] = ()
) -> subprocess.Popen:
    """Starts a process in a group of its own, so that it can be ended with all it starts; it speaks to a file."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with open(log_file, "ab") as output:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=keep_open,
            start_new_session=True,
        )
