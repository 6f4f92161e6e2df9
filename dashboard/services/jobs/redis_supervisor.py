"""The thread of a worker that starts jobs when RQ asks for it, follows their processes and ends them."""

from __future__ import annotations

import os
import platform
import threading
import uuid
from pathlib import Path

from dashboard.services.jobs.processes import identify
from dashboard.services.jobs.redis_table import RedisTable
from dashboard.services.jobs.supervisor import Spawn, Supervisor
from dashboard.services.jobs.transitions import Owner, Row

#: So long others believe that a worker is there which is silent.
VOUCHED_S = 10.0
# RQ limits how many jobs run: a worker runs one.
_SLOTS = 1_000_000


class WorkerSupervisor(Supervisor):
    """Follows the job of this worker, and those of workers of this machine that are gone.

    Numbers of processes say nothing on another machine: what runs there is left alone.
    """

    def __init__(self, table: RedisTable, spawn: Spawn) -> None:
        """Does nothing before :meth:`start`."""
        self._machine = this_machine() + "|"
        owner = Owner(self._machine + uuid.uuid4().hex, identify(os.getpid()))
        super().__init__(table, owner, _SLOTS, spawn)
        self._vouch = lambda: table.renew(owner.name, VOUCHED_S)
        self._claim = ""
        self._free = threading.Event()
        self._current: tuple[str, str] | None = None

    def ask(self) -> None:
        """Lets the first waiting job start here, if there is one; one job, however often the list must be asked."""
        self._free.clear()
        self._claim = uuid.uuid4().hex
        self.wake()

    def wait(self, seconds: float) -> bool:
        """Whether the job that was asked for has ended, or there was none, after so long at most."""
        return self._free.wait(seconds)

    def _rows(self) -> list[Row]:
        return [row for row in super()._rows() if (row["owner"] or "").startswith(self._machine)]

    def _look(self) -> bool:
        self._vouch()
        busy = super()._look()
        if self._current is not None and self._current not in self._children:
            self._current = None
            self._free.set()
        return busy

    def _start_waiting(self, rows: list[Row]) -> None:
        if (claim := self._claim) and not self._closing.is_set():
            # Where this raises, the job may have been started all the same, and only the answer been lost.
            self._current = self._table.write(lambda db: self._start_next(db, claim))
            self._claim = ""
            if self._current is None:
                self._free.set()


def this_machine() -> str:
    """What tells machines apart, also those of one name, and containers of one: each has its own numbers."""
    numbers, start = Path("/proc/self/ns/pid"), Path("/proc/sys/kernel/random/boot_id")
    booted = start.read_text(encoding="ascii").strip() if start.exists() else ""
    return f"{platform.node()}/{booted}/{numbers.stat().st_ino if numbers.exists() else 0}"
