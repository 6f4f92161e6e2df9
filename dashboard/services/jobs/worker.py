"""Runs one job, in a process of its own."""

from __future__ import annotations

import json
import logging
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path
from types import FrameType

from dashboard.services.cache_limit import make_room, making_room
from dashboard.services.jobs import transitions
from dashboard.services.jobs.failures import STOPPED, sentence_of
from dashboard.services.jobs.folders import JobFolder, Sealed, seal
from dashboard.services.jobs.job import JobContext, Order
from dashboard.services.jobs.kinds import load_kinds
from dashboard.services.jobs.reporting import Reporter
from dashboard.services.jobs.table import REDIS_LIST, JobList, JobTable
from engine.errors import Cancelled, EngineError
from engine.locations import CACHE

log = logging.getLogger(__name__)

NICENESS = 10
# A full disk or a busy table may pass while the half-written result is taken away.
_TELLING_TRIES = 5


def main(text: str) -> int:
    """Does what an order says.

    Args:
        text: the order as JSON.

    Returns:
        the exit status: 0 when the list of jobs knows how it ended.
    """
    order = Order.from_json(text)
    os.nice(NICENESS)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    folder = order.server.data_dir / "jobs"
    return _Attempt(order, _list_in(folder), JobFolder(folder / order.id)).run()


def _list_in(folder: Path) -> JobList:
    """The list of jobs that the one who ordered this process keeps."""
    address = os.environ.pop(REDIS_LIST, None)
    if address is None:
        return JobTable(folder)
    # Only where it is asked for: the package is an optional extra.
    from dashboard.services.jobs.redis_connection import connect
    from dashboard.services.jobs.redis_table import JOB_PATIENCE_S, RedisTable

    return RedisTable(connect(address), folder, patience_s=JOB_PATIENCE_S)


class _Attempt:
    """One run of a job."""

    def __init__(self, order: Order, table: JobList, folder: JobFolder) -> None:
        self._order = order
        self._table = table
        self._folder = folder
        self._reporter = Reporter(table, order.id, order.attempt)
        self._interruptible = False
        self._cache = (order.server.data_dir / CACHE, order.server.cache_bytes)

    def run(self) -> int:
        signal.signal(signal.SIGTERM, self._terminate)
        if not self._reporter.start():
            return self._tell(Cancelled("The job was stopped, or started anew, before this process was ready."))
        try:
            self._finish(self._compute())
        except Exception as error:
            self._interruptible = False
            self._reporter.close()
            self._folder.drop_partial(self._order.attempt)
            return self._tell(error)
        return 0

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self._reporter.stop()
        if self._interruptible:
            self._interruptible = False
            raise Cancelled("The job was told to end.")

    def _compute(self) -> Sealed:
        job = self._table.write(lambda db: transitions.one_job(db, self._order.id))
        partial = self._folder.partial(self._order.attempt)
        context = JobContext(self._order.server, self._folder.work, self._order.threads)
        log.info("started %s (%s)", job.label, job.kind)
        try:
            self._interruptible = True
            partial.mkdir(parents=True)
            context.work.mkdir(exist_ok=True)
            run = load_kinds(self._order.kinds)[job.kind].factory
            progress = making_room(self._reporter.progress, *self._cache)
            summary = run(dict(job.settings), partial, progress, context)
            return seal(partial, json.dumps(dict(summary), allow_nan=False), self._order.attempt)
        finally:
            self._interruptible = False
            make_room(*self._cache)

    def _finish(self, sealed: Sealed) -> None:
        """The result is put in its place and the job called done, unless it was stopped meanwhile."""

        def finish(db: sqlite3.Connection) -> bool:
            done = transitions.finish(db, self._order.id, sealed.attempt, sealed.summary, sealed.manifest)
            if done:
                self._folder.put_in_place(sealed.attempt)
            return done

        self._reporter.close()
        if not self._table.write(finish):
            raise Cancelled("The job was stopped before its result was in place.")
        self._folder.drop_work()
        log.info("done")

    def _tell(self, error: Exception) -> int:
        """Notes why there is no result."""
        if isinstance(error, Cancelled):
            log.info("stopped: %s", error)
        else:
            log.error("failed", exc_info=error)

        def end(db: sqlite3.Connection) -> None:
            asked = db.execute("SELECT cancel_asked FROM jobs WHERE id = ?", (self._order.id,)).fetchone()
            if not isinstance(error, Cancelled):
                transitions.end(db, *which, "failed", sentence_of(error, self._folder.path))
            elif asked and asked["cancel_asked"] is not None:
                transitions.end(db, *which, "cancelled")
            else:
                transitions.end(db, *which, "interrupted", STOPPED)

        which = (self._order.id, self._order.attempt)
        for _ in range(_TELLING_TRIES):
            try:
                self._table.write(end)
                return 0
            except EngineError as problem:
                log.warning("how the job ended cannot be noted yet: %s", problem)
                time.sleep(0.5)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
