"""Every change of a job's state, as one action each on the list of jobs."""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dashboard.services.jobs.job import Job, State, Submission
from dashboard.services.jobs.processes import Identity
from engine.errors import UnknownNameError

Row = sqlite3.Row
_QUEUE_AGAIN = """
UPDATE jobs SET state = 'queued', label = ?, queued = ?, fraction = 0, message = '', started = NULL, ended = NULL,
    heartbeat = NULL, seconds_left = NULL, cancel_asked = NULL, error = NULL, attempt = '', pid = NULL,
    pid_created = NULL, owner = NULL, summary = NULL, manifest = NULL
WHERE id = ?
"""
_IN_ORDER = "ORDER BY state != 'running', state != 'queued', CASE state WHEN 'queued' THEN queued ELSE -created END"


@dataclass(frozen=True, slots=True)
class Owner:
    """The queue that started a job's process and follows it.

    Attributes:
        name: random, of one queue.
        process: the server it is in.
    """

    name: str
    process: Identity


def all_jobs(db: sqlite3.Connection) -> list[Job]:
    """All jobs: running, waiting in their order, then the others, the newest first."""
    jobs, position = [], 0
    for row in db.execute(f"SELECT * FROM jobs {_IN_ORDER}, rowid"):
        position += row["state"] == "queued"
        jobs.append(as_job(row, position if row["state"] == "queued" else 0))
    return jobs


def unfinished(db: sqlite3.Connection) -> list[Row]:
    """The rows of waiting and running jobs."""
    return db.execute(f"SELECT * FROM jobs WHERE state IN ('queued', 'running') {_IN_ORDER}, rowid").fetchall()


def find(db: sqlite3.Connection, job_id: str) -> Row:
    """The row of a job.

    Raises:
        UnknownNameError: if there is none.
    """
    row = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise no_such_job(job_id)
    return row


def no_such_job(job_id: str) -> UnknownNameError:
    """The error for an id that no job has."""
    return UnknownNameError(f"There is no job {str(job_id)[:60]!r}; it may have been removed. See the list of jobs.")


def one_job(db: sqlite3.Connection, job_id: str) -> Job:
    """A job with its position."""
    row, position = find(db, job_id), 0
    if row["state"] == "queued":
        before = "SELECT count(*) FROM jobs WHERE state = 'queued' AND (queued, rowid) <= (?, (SELECT rowid FROM jobs "
        position = db.execute(before + "WHERE id = ?))", (row["queued"], job_id)).fetchone()[0]
    return as_job(row, position)


def as_job(row: Row, position: int) -> Job:
    """A row of the table as a job."""
    summary = None if row["summary"] is None else json.loads(row["summary"])
    names = ("id", "kind", "label", "state", "fraction", "message", "created", "started", "ended", "heartbeat")
    names += ("seconds_left", "error", "pid", "pid_created")
    cancelling = row["state"] == "running" and row["cancel_asked"] is not None
    fields: dict[str, Any] = {name: row[name] for name in names}
    return Job(
        **fields, settings=json.loads(row["settings"]), position=position, summary=summary, cancelling=cancelling
    )


def enter(db: sqlite3.Connection, submission: Submission, has_result: Callable[[str], bool]) -> tuple[str, bool]:
    """Puts a submission in the queue unless an equal one waits, runs or is done.

    Returns:
        the job's id, and whether it is new.
    """
    known = db.execute("SELECT * FROM jobs WHERE identity = ?", (submission.identity,)).fetchone()
    if known is None:
        job_id, now = uuid.uuid4().hex, time.time()
        db.execute(
            "INSERT INTO jobs (id, identity, kind, label, settings, state, created, queued) VALUES (?,?,?,?,?,?,?,?)",
            (
                *(job_id, submission.identity, submission.kind, submission.label),
                *(json.dumps(submission.settings), "queued", now, now),
            ),
        )
        return job_id, True
    if known["state"] in ("failed", "cancelled", "interrupted") or (
        known["state"] == "done" and not has_result(known["id"])
    ):
        db.execute(_QUEUE_AGAIN, (submission.label, time.time(), known["id"]))
    return known["id"], False


def queue_again(db: sqlite3.Connection, job_id: str) -> Job:
    """Puts a failed, cancelled or interrupted job in the queue; another one stays as it is."""
    row = find(db, job_id)
    if row["state"] in ("failed", "cancelled", "interrupted"):
        db.execute(_QUEUE_AGAIN, (row["label"], time.time(), job_id))
    return one_job(db, job_id)


def ask_to_stop(db: sqlite3.Connection, job_id: str) -> Job:
    """Cancels a waiting job, and asks a running one to stop."""
    state, now = find(db, job_id)["state"], time.time()
    if state == "queued":
        db.execute("UPDATE jobs SET state = 'cancelled', ended = ?, message = '' WHERE id = ?", (now, job_id))
    elif state == "running":
        db.execute("UPDATE jobs SET cancel_asked = coalesce(cancel_asked, ?) WHERE id = ?", (now, job_id))
    return one_job(db, job_id)


def start_next(
    db: sqlite3.Connection, owner: Owner, slots: int, spawn: Callable[[str, str], Identity], claim: str = ""
) -> tuple[str, str] | None:
    """Starts the first waiting job if a slot is free.

    The process is started inside the transaction: its number is in the table as soon as the job is called running,
    and where this server dies before, the change is undone and the process finds that it has nothing to do.

    Args:
        db: in a writing transaction.
        owner: who follows the job.
        slots: how many may run at once, on whichever server.
        spawn: starts the process of a job's attempt.
        claim: random, of whoever wants one job; where the answer was lost and it asks again, the answer is the same,
            though the job may have ended. "" for nobody in particular.

    Returns:
        the job's id and its attempt, or None if none was started.
    """
    if (started := _started_for(db, claim)) is not None:
        return started
    if db.execute("SELECT count(*) FROM jobs WHERE state = 'running'").fetchone()[0] >= slots:
        return None
    row = db.execute("SELECT id FROM jobs WHERE state = 'queued' ORDER BY queued, rowid LIMIT 1").fetchone()
    if row is None:
        return None
    # Each process has an attempt of its own: one whose start was not noted must not take itself for the next.
    attempt, server = claim + uuid.uuid4().hex, owner.process
    try:
        process = spawn(row["id"], attempt)
    except OSError as error:
        sentence = f"The job's process cannot be started ({error}); make room on this machine and run it again."
        db.execute(
            "UPDATE jobs SET state = 'failed', error = ?, ended = ? WHERE id = ?", (sentence, time.time(), row["id"])
        )
        return None
    db.execute(
        "UPDATE jobs SET state = 'running', started = ?, attempt = ?, pid = ?, pid_created = ?, owner = ?, "
        "owner_pid = ?, owner_created = ?, message = 'starting' WHERE id = ?",
        (time.time(), attempt, process.pid, process.created, owner.name, server.pid, server.created, row["id"]),
    )
    return row["id"], attempt


def _started_for(db: sqlite3.Connection, claim: str) -> tuple[str, str] | None:
    """The job that was started for a claim, and its attempt."""
    if not claim:
        return None
    row = db.execute("SELECT id, attempt FROM jobs WHERE substr(attempt, 1, ?) = ?", (len(claim), claim)).fetchone()
    return None if row is None else (row["id"], row["attempt"])


def adopt(db: sqlite3.Connection, row: Row, owner: Owner) -> None:
    """Follows a job whose server is gone, unless another server was quicker."""
    db.execute(
        "UPDATE jobs SET owner = ?, owner_pid = ?, owner_created = ? WHERE id = ? AND attempt = ? AND owner = ?",
        (owner.name, owner.process.pid, owner.process.created, row["id"], row["attempt"], row["owner"]),
    )


def beat(db: sqlite3.Connection, job_id: str, attempt: str, fraction: float, message: str, left: float | None) -> Row:
    """Notes how far an attempt is.

    Returns:
        a row with "mine", whether the attempt is still the job's, and "cancel_asked".
    """
    db.execute(
        "UPDATE jobs SET fraction = ?, message = ?, seconds_left = ?, heartbeat = ? "
        "WHERE id = ? AND attempt = ? AND state = 'running'",
        (fraction, message, left, time.time(), job_id, attempt),
    )
    return db.execute(
        "SELECT count(*) AS mine, max(cancel_asked) AS cancel_asked FROM jobs "
        "WHERE id = ? AND attempt = ? AND state = 'running'",
        (job_id, attempt),
    ).fetchone()


def end(db: sqlite3.Connection, job_id: str, attempt: str, state: State, error: str | None = None) -> bool:
    """Ends an attempt without a result; one that has ended already stays as it is.

    Returns:
        whether it was running.
    """
    changed = db.execute(
        "UPDATE jobs SET state = ?, error = ?, ended = ?, seconds_left = NULL, message = '' "
        "WHERE id = ? AND attempt = ? AND state = 'running'",
        (state, error, time.time(), job_id, attempt),
    )
    return changed.rowcount == 1


def finish(db: sqlite3.Connection, job_id: str, attempt: str, summary: str, manifest: str) -> bool:
    """Ends an attempt whose result is in its place.

    Args:
        db: in a writing transaction.
        job_id, attempt: which.
        summary: JSON.
        manifest: SHA-256 of the result's manifest.

    Returns:
        whether it was running.
    """
    changed = db.execute(
        "UPDATE jobs SET state = 'done', fraction = 1, message = '', seconds_left = NULL, error = NULL, ended = ?, "
        "summary = ?, manifest = ? WHERE id = ? AND attempt = ? AND state = 'running'",
        (time.time(), summary, manifest, job_id, attempt),
    )
    return changed.rowcount == 1


def lose_result(db: sqlite3.Connection, job_id: str, manifest: str, sentence: str) -> bool:
    """A finished job whose result turned out damaged can be run again.

    Returns:
        whether it was still done with that result.
    """
    changed = db.execute(
        "UPDATE jobs SET state = 'interrupted', error = ?, summary = NULL, manifest = NULL "
        "WHERE id = ? AND state = 'done' AND manifest = ?",
        (sentence, job_id, manifest),
    )
    return changed.rowcount == 1
