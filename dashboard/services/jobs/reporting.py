"""How a job's process tells how far it is, and hears that it should stop."""

from __future__ import annotations

import logging
import threading
import time

from dashboard.services.jobs import transitions
from dashboard.services.jobs.table import JobList
from engine.errors import Cancelled, EngineError

log = logging.getLogger(__name__)

BEAT_S = 0.6
_LOG_EVERY_S = 5.0
_STOPPED = "The job was stopped."


class Reporter:
    """A thread that notes the progress of one attempt in the list of jobs, however seldom or often it is reported."""

    def __init__(self, table: JobList, job_id: str, attempt: str) -> None:
        """Reports nothing before :meth:`start`."""
        self._table = table
        self._which = (job_id, attempt)
        self._fraction = 0.0
        self._message = "starting"
        self._first: tuple[float, float] | None = None
        self._logged = 0.0
        self._stop = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> bool:
        """Begins; returns False where the job is not this attempt's any more, or should stop already.

        Raises:
            EngineError: if the list of jobs cannot be used.
        """
        self._note()
        if self._stop.is_set():
            return False
        self._thread.start()
        return True

    def close(self) -> None:
        """Reports no more."""
        self._closed.set()
        self._thread.join()

    def stop(self) -> None:
        """Lets the next call of :meth:`progress` raise."""
        self._stop.set()

    def progress(self, fraction: float, message: str) -> None:
        """The job's progress callback.

        Raises:
            Cancelled: if the job should stop.
        """
        if self._stop.is_set():
            raise Cancelled(_STOPPED)
        now = time.monotonic()
        self._fraction, self._message = min(1.0, max(0.0, float(fraction))), str(message)[:500]
        if self._first is None:
            # A job that resumes begins further on; only what it has done since tells its speed.
            self._first = (now, self._fraction)
        if now - self._logged >= _LOG_EVERY_S:
            self._logged = now
            log.info("%3.0f %% %s", 100 * self._fraction, self._message)

    def _seconds_left(self) -> float | None:
        if self._first is None:
            return None
        begin, at = self._first
        done = self._fraction - at
        return (time.monotonic() - begin) * (1 - self._fraction) / done if done > 0 else None

    def _run(self) -> None:
        while not self._closed.wait(BEAT_S):
            try:
                self._note()
            except EngineError as error:
                log.warning("progress cannot be noted: %s", error)

    def _note(self) -> None:
        report = (self._fraction, self._message, self._seconds_left())
        row = self._table.write(lambda db: transitions.beat(db, *self._which, *report))
        if not row["mine"] or row["cancel_asked"] is not None:
            self._stop.set()
