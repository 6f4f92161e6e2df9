"""Which data directory the list of jobs in a Redis database belongs to."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from dashboard.services.jobs.table import JobListError

FILE = "redis-list.txt"


def claim(client: Any, key: str, folder: Path) -> None:
    """Makes sure that a database and a folder of jobs belong together; marks both where neither is marked.

    Results are files: a worker that sees another folder than the server would compute for nobody.

    Args:
        client: of the Redis server.
        key: under which the database has the mark.
        folder: of the jobs, by whatever path; it has the mark as a file.

    Raises:
        JobListError: if they do not.
        OSError: if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    if not file.exists() and client.get(key) is None:
        _mark(file)
    mine = file.read_text() if file.exists() else None
    if mine is not None:
        client.set(key, mine, nx=True)
    if mine is None or client.get(key) != mine:
        raise JobListError(
            f"This Redis database keeps the jobs of another data directory than {folder.parent}. Give the --data-dir "
            "that all machines share, or another database: the number at the end of the URL."
        )


def _mark(file: Path) -> None:
    """Makes the file whole, unless another server was quicker."""
    partial = file.with_name(f".{file.name}-{uuid.uuid4().hex}")
    partial.write_text(uuid.uuid4().hex)
    with suppress(FileExistsError):
        os.link(partial, file)
    partial.unlink()
