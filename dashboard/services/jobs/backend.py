"""What the queue needs of whoever runs its jobs: this machine, or workers elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from dashboard.services.jobs.job import Job, Submission


class Backend(Protocol):
    """Keeps the list of jobs and runs them. Every method may be called by several threads at once.

    An unknown id raises :class:`engine.errors.UnknownNameError`; what cannot be done, another
    :class:`engine.errors.EngineError`.
    """

    def submit(self, submission: Submission) -> Job:
        """The job of that identity, put in the queue unless it waits, runs or is done."""

    def jobs(self) -> list[Job]:
        """All jobs: running, waiting in their order, then the others, the newest first."""

    def job(self, job_id: str) -> Job:
        """One job."""

    def cancel(self, job_id: str) -> Job:
        """Asks a job to stop; one that has ended stays as it is."""

    def run_again(self, job_id: str) -> Job:
        """Puts a failed, cancelled or interrupted job in the queue; another one stays as it is."""

    def remove(self, job_id: str) -> None:
        """Forgets a job that has ended, and its files."""

    def log(self, job_id: str, last: int) -> list[str]:
        """The last lines of a job's log."""

    def result(self, job: Job) -> Path:
        """The folder of a finished job's files, after they were checked."""

    def work(self, job: Job) -> Path:
        """The folder of a job's unfinished work; it may be absent."""

    def close(self) -> None:
        """Stops the jobs this server runs; they are interrupted."""
