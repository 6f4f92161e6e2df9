"""The back end for one machine: a SQLite list, and a process per job."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TypeVar

from dashboard.services.jobs import transitions
from dashboard.services.jobs.folders import JobFolder, check
from dashboard.services.jobs.job import Job, Order, Submission
from dashboard.services.jobs.processes import identify
from dashboard.services.jobs.refill import refill
from dashboard.services.jobs.supervisor import Supervisor, spawn_with
from dashboard.services.jobs.table import Action, JobListError, JobTable
from dashboard.services.jobs.transitions import Owner
from dashboard.settings import Settings
from engine.errors import EngineError, InvalidInputError

T = TypeVar("T")
log = logging.getLogger(__name__)

_START = Path(__file__).with_name("start.py")
# Read by torch, its libraries and numba when they are imported.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class EmbeddedBackend:
    """Runs jobs on this machine, at most one a processor but one, at low priority.

    Several servers can use one data directory: the list decides who starts a job.
    """

    def __init__(self, server: Settings, kinds: str, *, processors: int | None = None) -> None:
        """Takes up what an earlier server left behind and starts to run what waits.

        Args:
            server: options of the server.
            kinds: importable module that holds the registry of kinds.
            processors: how many there are; those of this machine if None.
        """
        self._server = server
        self._kinds = kinds
        self._threads = max(1, (processors or os.cpu_count() or 1) - 1)
        self._folder = server.data_dir / "jobs"
        self._table = JobTable(self._folder, lambda db: refill(db, self._folder))
        owner = Owner(uuid.uuid4().hex, identify(os.getpid()))
        self._supervisor = Supervisor(self._table, owner, self._threads, self._spawn)
        self._supervisor.start()

    def submit(self, submission: Submission) -> Job:
        """The job of that identity, put in the queue unless it waits, runs or is done.

        Raises:
            EngineError: if nothing can be written in the data directory.
        """

        def enter(db: sqlite3.Connection) -> Job:
            job_id, is_new = transitions.enter(db, submission, lambda job_id: self._files(job_id).has_result())
            job = transitions.one_job(db, job_id)
            if is_new:
                self._files(job_id).describe(
                    {
                        "identity": submission.identity,
                        "kind": job.kind,
                        "label": job.label,
                        "settings": dict(job.settings),
                        "created": job.created,
                    }
                )
            return job

        return self._change(enter)

    def jobs(self) -> list[Job]:
        """All jobs: running, waiting in their order, then the others; none where the list cannot be read."""
        try:
            return self._table.read(transitions.all_jobs, [])
        except JobListError as error:
            log.warning("no jobs are shown: %s", error)
            return []

    def job(self, job_id: str) -> Job:
        """One job.

        Raises:
            UnknownNameError: if there is none.
        """
        job = self._table.read(lambda db: transitions.one_job(db, job_id), None)
        if job is None:  # there is no list yet
            raise transitions.no_such_job(job_id)
        return job

    def cancel(self, job_id: str) -> Job:
        """Asks a job to stop; one that has ended stays as it is."""
        self.job(job_id)
        return self._change(lambda db: transitions.ask_to_stop(db, job_id))

    def run_again(self, job_id: str) -> Job:
        """Puts a failed, cancelled or interrupted job in the queue; another one stays as it is."""
        self.job(job_id)
        return self._change(lambda db: transitions.queue_again(db, job_id))

    def remove(self, job_id: str) -> None:
        """Forgets a job that has ended, and its files.

        Raises:
            InvalidInputError: if it waits or runs.
        """

        def remove(db: sqlite3.Connection) -> None:
            job = transitions.one_job(db, job_id)
            if not job.has_ended:
                raise InvalidInputError(f"The job {job.label!r} is {job.state}; cancel it before it is removed.")
            db.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
            self._files(job_id).remove()

        self.job(job_id)
        self._change(remove)

    def log(self, job_id: str, last: int) -> list[str]:
        """The last lines of a job's log."""
        return self._files(self.job(job_id).id).log(last)

    def result(self, job: Job) -> Path:
        """The folder of a finished job's files, after they were compared with their checksums.

        Raises:
            InvalidInputError: if the job is not done.
            EngineError: if they are damaged; they are set aside and the job can be run again.
        """
        manifest = self._table.read(lambda db: transitions.find(db, job.id)["manifest"], None)
        if manifest is None:
            raise InvalidInputError(f"The job {job.label!r} has no result; it is {self.job(job.id).state}.")
        files = self._files(job.id)
        try:
            check(files.result, manifest)
            return files.result
        except EngineError as error:
            sentence = f"its result was damaged ({error}) and set aside, run it again"
            problem = error

        def lose(db: sqlite3.Connection) -> bool:
            lost = transitions.lose_result(db, job.id, manifest, sentence)
            return lost and files.set_aside() is not None

        self._change(lose)
        raise EngineError(f"{job.label}: {sentence}.") from problem

    def work(self, job: Job) -> Path:
        """The folder of a job's unfinished work; it may be absent."""
        return self._files(job.id).work

    def close(self) -> None:
        """Stops the jobs this server runs; they are interrupted. No process is left."""
        self._supervisor.close()

    def _change(self, action: Action[T]) -> T:
        result = self._table.write(action)
        self._supervisor.wake()
        return result

    def _files(self, job_id: str) -> JobFolder:
        return JobFolder(self._folder / job_id)

    def _spawn(self, job_id: str, attempt: str) -> subprocess.Popen:
        order = Order(job_id, attempt, self._kinds, self._threads, self._server)
        environment = dict.fromkeys(_THREAD_VARIABLES, str(self._threads))
        # It finds what the server finds: the program itself, and an own model's module.
        search = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
        command = [sys.executable, "-P", str(_START), order.to_json()]
        return spawn_with(command, os.environ | environment | {"PYTHONPATH": search}, self._files(job_id).log_file)
