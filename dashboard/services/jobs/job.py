"""One job: what was asked for, and how far it is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dashboard.settings import Settings

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is at one moment. Times are unix seconds.

    Attributes:
        id: random, 32 hexadecimal digits.
        kind: name of its kind in the registry.
        label: what a person reads.
        settings: what it was submitted with, plain JSON.
        state: "interrupted" means that its process ended through no fault of the job; it can be run again.
        fraction: finished share, in [0, 1].
        message: what it is doing.
        position: place in the queue, from 1; 0 when it does not wait.
        created, started, ended: when; None for what has not happened yet.
        heartbeat: when its process last reported, or None.
        seconds_left: estimate of its process, or None where there is nothing to estimate from.
        cancelling: whether it was asked to stop and has not yet.
        error: one sentence for a failed or interrupted job, else None.
        pid, pid_created: its process and when that was created; None before it runs.
        summary: what a finished job says about its result, else None.
    """

    id: str
    kind: str
    label: str
    settings: Mapping[str, Any]
    state: State
    fraction: float
    message: str
    position: int
    created: float
    started: float | None
    ended: float | None
    heartbeat: float | None
    seconds_left: float | None
    cancelling: bool
    error: str | None
    pid: int | None
    pid_created: float | None
    summary: Mapping[str, Any] | None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.state not in ("queued", "running")


@dataclass(frozen=True, slots=True)
class Submission:
    """What is asked for.

    Attributes:
        kind, label, settings: as in :class:`Job`.
        identity: equal for submissions that have the same result.
    """

    kind: str
    label: str
    settings: Mapping[str, Any]
    identity: str


@dataclass(frozen=True, slots=True)
class Order:
    """What a server tells the process that runs a job.

    Attributes:
        id: the job's.
        attempt: this run of it; a process whose attempt is not the job's any more has nothing to say.
        kinds: importable module that holds the registry of kinds.
        threads: how many threads it may compute with.
        server: the server's options, without what concerns visitors alone.
    """

    id: str
    attempt: str
    kinds: str
    threads: int
    server: Settings

    def to_json(self) -> str:
        """One line, without passwords: command lines can be read by others, and a Redis URL may hold one."""
        fields = dataclasses.asdict(self)
        for name in ("password", "host", "allowed_hosts", "redis"):
            del fields["server"][name]
        return json.dumps(fields, default=str)

    @classmethod
    def from_json(cls, text: str) -> Order:
        """Reads what :meth:`to_json` wrote."""
        fields = json.loads(text)
        server = fields.pop("server")
        for name in ("data_dir", "datasets_dir", "checkpoint", "dataset_dir"):
            server[name] = None if server[name] is None else Path(server[name])
        return cls(**fields, server=Settings(**server))


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a job may use besides its settings.

    Attributes:
        server: where models and data sets are.
        work: a folder that is kept when the job is stopped, for a state to resume from; removed once it is done.
        threads: how many threads it may compute with, so that the server stays quick.
    """

    server: Settings
    work: Path
    threads: int
