"""The queue of jobs as the pages use it, whoever runs them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashboard.services.jobs.backend import Backend
from dashboard.services.jobs.embedded import EmbeddedBackend
from dashboard.services.jobs.job import Job, Submission
from dashboard.services.jobs.kinds import MODULE, load_kinds
from dashboard.settings import Settings
from engine.errors import InvalidInputError, UnknownNameError
from engine.registry import Registry
from engine.version import VERSION

MAX_SETTINGS = 100_000  # characters
MAX_LABEL = 200


class JobQueue:
    """Long work, each kind by its name, run in processes of its own.

    Every method may be called by several threads at once. An id that no job has raises
    :class:`engine.errors.UnknownNameError`.
    """

    def __init__(self, kinds: Registry[Any], backend: Backend) -> None:
        """Checks submissions against ``kinds`` and hands them to ``backend``."""
        self.kinds = kinds
        self._backend = backend

    @classmethod
    def start(cls, settings: Settings, *, kinds: str = MODULE) -> JobQueue:
        """The queue that a server's options ask for: :meth:`on_redis` where they name a Redis server."""
        if settings.redis is None:
            return cls.embedded(settings, kinds=kinds)
        return cls.on_redis(settings, settings.redis, kinds=kinds)

    @classmethod
    def embedded(cls, settings: Settings, *, kinds: str = MODULE, processors: int | None = None) -> JobQueue:
        """The queue of one machine; follows what an earlier server left behind in the data directory.

        Args:
            settings: options of the server.
            kinds: importable module that holds a registry called ``kinds``.
            processors: how many there are; those of this machine if None.

        Raises:
            JobListError: if the jobs in the data directory belong to a Redis server and its workers.
        """
        return cls(load_kinds(kinds), EmbeddedBackend(settings, kinds, processors=processors))

    @classmethod
    def on_redis(cls, settings: Settings, url: str, *, kinds: str = MODULE) -> JobQueue:
        """The queue of many machines; its jobs are run by workers, which are started on their own.

        Args:
            settings: options of the server; its data directory is on a disk that all machines share.
            url: of the Redis server; from the person who starts the server, never from a browser.
            kinds: importable module that holds a registry called ``kinds``.

        Raises:
            EngineError: if the optional packages are not there, the Redis server does not answer, it keeps the
                jobs of another data directory, or an application without Redis runs the jobs of this one.
        """
        # Only where it is asked for: the packages are an optional extra.
        from dashboard.services.jobs.redis_backend import RedisBackend

        return cls(load_kinds(kinds), RedisBackend(settings, url))

    def submit(self, kind: str, settings: Mapping[str, Any], *, label: str) -> Job:
        """Puts work in the queue; equal work that waits, runs or is done is not done twice.

        Args:
            kind: name of the kind.
            settings: plain JSON.
            label: what a person reads; not part of what makes work equal.

        Returns:
            the job; that of an earlier equal submission where there is one.

        Raises:
            UnknownNameError: if there is no such kind.
            InvalidInputError: if the settings are not plain JSON, or not those of the kind.
            EngineError: if nothing can be written in the data directory.
        """
        entry = self.kinds[kind]
        _canonical(settings)
        checked = entry.facts["check"](settings) if "check" in entry.facts else dict(settings)
        named = json.dumps([kind, VERSION]) + _canonical(checked)
        identity = hashlib.sha256(named.encode()).hexdigest()
        return self._backend.submit(Submission(kind, str(label)[:MAX_LABEL], checked, identity))

    def jobs(self) -> list[Job]:
        """All jobs: running, waiting in their order, then the others, the newest first."""
        return self._backend.jobs()

    def job(self, job_id: str) -> Job:
        """One job."""
        return self._backend.job(job_id)

    def cancel(self, job_id: str) -> Job:
        """Asks a job to stop: at once when it waits, within seconds when it runs; one that has ended stays as it is."""
        return self._backend.cancel(job_id)

    def run_again(self, job_id: str) -> Job:
        """Puts a failed, cancelled or interrupted job in the queue, under its id; it resumes where its kind can.

        A job that waits, runs or is done stays as it is: the same work has the same result.

        Raises:
            UnknownNameError: also if its kind is no more.
        """
        self._known_kind(self.job(job_id))
        return self._backend.run_again(job_id)

    def remove(self, job_id: str) -> None:
        """Forgets a job that has ended, and its files.

        Raises:
            InvalidInputError: if it waits or runs.
        """
        self._backend.remove(job_id)

    def log(self, job_id: str, last: int = 200) -> list[str]:
        """The last lines of a job's log."""
        return self._backend.log(job_id, last)

    def work(self, job: Job) -> Path:
        """The folder of a job's unfinished work, which is there until the job is done; it may be absent.

        The job's process writes in it: only files that are put in place whole may be read while it runs.
        """
        return self._backend.work(job)

    def result(self, job: Job) -> Path:
        """The folder of a finished job's files, after they were compared with their checksums.

        Raises:
            InvalidInputError: if the job is not done.
            EngineError: if they are damaged; they are then set aside and the job is interrupted.
        """
        return self._backend.result(job)

    def close(self) -> None:
        """Stops the jobs of this server, within 10 s; they are interrupted. To be called when the server stops."""
        self._backend.close()

    def _known_kind(self, job: Job) -> None:
        if job.kind not in self.kinds:
            raise UnknownNameError(f"This version has no kind of job {job.kind!r}; remove the job {job.label!r}.")


def _canonical(settings: Mapping[str, Any]) -> str:
    """The same text for equal settings."""
    try:
        text = json.dumps(dict(settings), sort_keys=True, allow_nan=False)
        if json.loads(text) != dict(settings):
            raise TypeError("a key or a sequence changes its type in JSON")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"A job's settings are plain JSON (text keys, finite numbers, lists); these are not: {error}."
        ) from error
    if len(text) > MAX_SETTINGS:
        raise InvalidInputError(f"A job's settings have at most {MAX_SETTINGS:,} characters; these have {len(text):,}.")
    return text
