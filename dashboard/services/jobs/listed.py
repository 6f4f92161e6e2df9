"""Jobs that are kept in a list, as the queue sees them; who runs them is the back ends' affair."""

from __future__ import annotations

import logging
import sqlite3
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TypeVar

from dashboard.services.jobs import transitions
from dashboard.services.jobs.folders import JobFolder, check
from dashboard.services.jobs.job import Job, Submission
from dashboard.services.jobs.table import Action, JobList, JobListError
from engine.errors import EngineError, InvalidInputError

T = TypeVar("T")
log = logging.getLogger(__name__)


class ListedJobs(ABC):
    """All of a back end but the running of jobs."""

    def __init__(self, table: JobList) -> None:
        """Uses the list ``table``, and the folders of its jobs."""
        self._table = table

    @abstractmethod
    def wake(self) -> None:
        """Tells whoever runs the jobs that the list has changed."""

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

    def _change(self, action: Action[T]) -> T:
        result = self._table.write(action)
        self.wake()
        return result

    def _files(self, job_id: str) -> JobFolder:
        return JobFolder(self._table.folder / job_id)
