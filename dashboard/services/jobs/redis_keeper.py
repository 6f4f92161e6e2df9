"""The thread of a server that sees to it that no job is stuck, while workers elsewhere run them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from dashboard.services.jobs import transitions
from dashboard.services.jobs.redis_table import RedisTable
from dashboard.services.jobs.supervisor import end_without_word
from dashboard.services.jobs.transitions import Row
from engine.errors import EngineError

log = logging.getLogger(__name__)

LOOK_S = 1.0
#: A job of which nothing was heard for so long has no process any more.
SILENT_S = 30.0
GONE = "The machine that ran the job does not answer any more; run it again."


class Keeper:
    """Calls workers for the jobs that wait, and ends jobs whose worker and process are gone.

    Several servers may do so at once. The clocks of the machines may differ: what counts is how long a job's heartbeat
    stays the same by the clock of this one.
    """

    def __init__(self, table: RedisTable, call: Callable[[int], None], *, silent_s: float = SILENT_S) -> None:
        """Does nothing before :meth:`start`.

        Args:
            table: the list of jobs.
            call: lets that many workers, when they are free, start a job each; told how many jobs wait.
            silent_s: after how long a job of which nothing is heard has ended.
        """
        self._table = table
        self._call = call
        self._silent_s = silent_s
        self._heard: dict[tuple[str, str], tuple[float | None, float]] = {}
        self._problem = ""
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Goes on in the background."""
        self._thread.start()

    def wake(self) -> None:
        """Something changed: looks at once."""
        self._wake.set()

    def close(self) -> None:
        """Stops."""
        self._closing.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.clear()
            try:
                self._look()
                self._problem = ""
            except Exception as error:
                # The thread must live on. Nothing was heard because nobody could be asked.
                self._heard.clear()
                if str(error) != self._problem:
                    log.warning("looking after the jobs failed; it is tried again", exc_info=error)
                self._problem = str(error)
            self._wake.wait(LOOK_S)

    def _look(self) -> None:
        rows = self._table.read(transitions.unfinished, [])
        waiting = sum(row["state"] == "queued" for row in rows)
        if waiting:
            self._call(waiting)
        running = [row for row in rows if row["state"] == "running"]
        keys = {(row["id"], row["attempt"]) for row in running}
        self._heard = {key: heard for key, heard in self._heard.items() if key in keys}
        for row in running:
            if self._is_gone(row):
                state, error = ("interrupted", GONE) if row["cancel_asked"] is None else ("cancelled", None)
                try:
                    end_without_word(self._table, row, state, error)
                except EngineError as problem:
                    log.warning("the job %s cannot be ended yet: %s", row["id"], problem)

    def _is_gone(self, row: Row) -> bool:
        """Whether nobody vouches for a job, and its process is silent, or does not stop though it should."""
        key, now = (row["id"], row["attempt"]), time.monotonic()
        heartbeat, since = self._heard.get(key, (row["heartbeat"], now))
        heard = heartbeat != row["heartbeat"] and row["cancel_asked"] is None
        if heard or self._table.is_vouched_for(row["owner"]):
            since = now
        self._heard[key] = (row["heartbeat"], since)
        return now - since > self._silent_s
