"""Studies that run as jobs: found again by model, read when they are finished."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from dashboard.services.classifiers import Classifiers
from dashboard.services.jobs.job import Job
from dashboard.services.jobs.queue import JobQueue
from engine.errors import InvalidInputError
from engine.version import VERSION

T = TypeVar("T")
KEPT_REPORTS = 3


class Outcomes(ABC):
    """The jobs of one kind in a queue, and their reports.

    Attributes:
        kind: name of the kind of job.
        called: what a person calls such a study.
        field: of the URL, that names one.
        file: name of the report among a job's files.
    """

    kind: str
    called: str
    field: str
    file: str

    def __init__(self, jobs: JobQueue, classifiers: Classifiers) -> None:
        """Uses the given queue and classifiers."""
        self._jobs = jobs
        self._classifiers = classifiers
        self._reports: Kept[Mapping[str, Any]] = Kept(KEPT_REPORTS)

    @abstractmethod
    def is_readable(self, job: Job) -> bool:
        """Whether this version understands what a job was asked for."""

    def job(self, study: str, model: str) -> Job:
        """The job of a study.

        Raises:
            InvalidInputError: if the id is that of another kind of job, or of a study of another model.
            UnknownNameError: if there is none.
        """
        job = self._jobs.job(study)
        if job.kind != self.kind:
            raise InvalidInputError(
                f"{self.field}: the job {job.label!r} is no {self.called}; open it on the Jobs page."
            )
        if job.settings.get("weights") != self._classifiers.get(model).classifier.key:
            raise InvalidInputError(
                f"{self.field}: {job.label} was made for another model, or for other weights of it. Open it from the "
                "Jobs page, or make a new one."
            )
        return job

    def outcome(self, study: str, model: str) -> Mapping[str, Any] | None:
        """The report of a finished study; None until it is finished.

        Raises:
            EngineError: if it is of another model, or its files are damaged.
        """
        job = self.job(study, model)
        if job.state != "done":
            return None
        return self._reports.get((job.id, job.ended), lambda: _load(self._jobs.result(job) / self.file))

    def finished(self, model: str) -> list[Job]:
        """The finished studies of a model as it is now, by this version, the newest first."""
        now = {"weights": self._classifiers.get(model).classifier.key, "version": VERSION}
        return [
            job
            for job in self._jobs.jobs()
            if job.kind == self.kind
            and job.state == "done"
            and now.items() <= job.settings.items()
            and self.is_readable(job)
        ]


class Kept(Generic[T]):
    """What was read last; several that ask for the same at once read it once."""

    def __init__(self, most: int) -> None:
        """Keeps so many things."""
        self._most = most
        self._things: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, read: Callable[[], T]) -> T:
        """The thing under a key, read if it is not there."""
        with self._lock:
            if key not in self._things:
                self._things[key] = read()
                while len(self._things) > self._most:
                    self._things.popitem(last=False)
            self._things.move_to_end(key)
            return self._things[key]


def _load(file: Path) -> Mapping[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))
