"""The back end for one machine: a SQLite list, and a process per job."""

from __future__ import annotations

import os
import subprocess
import uuid

from dashboard.services.jobs.home import Residence
from dashboard.services.jobs.job import Order
from dashboard.services.jobs.launching import launch
from dashboard.services.jobs.listed import ListedJobs
from dashboard.services.jobs.processes import identify
from dashboard.services.jobs.refill import refill
from dashboard.services.jobs.supervisor import Supervisor
from dashboard.services.jobs.table import JobTable
from dashboard.services.jobs.transitions import Owner
from dashboard.settings import Settings


class EmbeddedBackend(ListedJobs):
    """Runs jobs on this machine, at most one a processor but one, at low priority.

    Several servers can use one data directory: the list decides who starts a job.
    """

    def __init__(self, server: Settings, kinds: str, *, processors: int | None = None) -> None:
        """Takes up what an earlier server left behind and starts to run what waits.

        Args:
            server: options of the server.
            kinds: importable module that holds the registry of kinds.
            processors: how many there are; those of this machine if None.

        Raises:
            JobListError: if the jobs belong to a Redis server and its workers.
        """
        self._server = server
        self._kinds = kinds
        self._threads = max(1, (processors or os.cpu_count() or 1) - 1)
        folder = server.data_dir / "jobs"
        self._residence = Residence(folder)
        super().__init__(JobTable(folder, lambda db: refill(db, folder)))
        owner = Owner(uuid.uuid4().hex, identify(os.getpid()))
        self._supervisor = Supervisor(self._table, owner, self._threads, self._spawn)
        self._supervisor.start()

    def wake(self) -> None:
        """The supervisor looks at the list."""
        self._supervisor.wake()

    def close(self) -> None:
        """Stops the jobs this server runs; they are interrupted. No process is left."""
        self._supervisor.close()
        self._residence.close()

    def _spawn(self, job_id: str, attempt: str) -> subprocess.Popen:
        order = Order(job_id, attempt, self._kinds, self._threads, self._server)
        return launch(order, self._files(job_id).log_file, keep_open=self._residence.handles)
