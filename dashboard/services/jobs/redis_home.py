"""Which data directory the list of jobs in a Redis database belongs to."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from dashboard.services.jobs.home import MARK, empty, read_mark, set_list_aside
from dashboard.services.jobs.table import JobListError
from engine.files import write_atomically


def claim(client: Any, key: str, folder: Path, address: str = "") -> None:
    """Makes sure that a database and a folder of jobs belong together; marks both where neither is marked.

    Results are files: a worker that sees another folder than the server would compute for nobody. And jobs that an
    application without Redis runs meanwhile would be run twice.

    Args:
        client: of the Redis server.
        key: under which the database has the mark.
        folder: of the jobs, by whatever path; it has the mark as a file.
        address: of the server, as others may read it; the file says it to who does not know where the list is.

    Raises:
        JobListError: if they do not, or an application without Redis runs the jobs.
        OSError: if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / MARK
    if read_mark(folder) is None and client.get(key) is None:
        with empty(folder):
            _mark(file, address)
    mark = read_mark(folder)
    if mark is not None and client.get(key) is None and address and mark.address not in ("", address):
        raise JobListError(
            f"The list of the jobs in {folder} is kept by {mark.address}, and {address} has none: with both, jobs "
            f"would run twice. Give --redis {mark.address}, or another --data-dir. If that server is gone for good, "
            f"or has moved without its data, end its workers, delete {file} and start again."
        )
    if mark is not None:
        client.set(key, mark.key, nx=True)
    if mark is None or client.get(key) != mark.key:
        raise JobListError(
            f"This Redis database keeps the jobs of another data directory than {folder.parent}. Give the --data-dir "
            "that all machines share, or another database: the number at the end of the URL."
        )
    set_list_aside(folder, mark.key)
    if address not in ("", mark.address):
        with suppress(OSError):  # the old one will do
            write_atomically(file, lambda partial: partial.write_text(f"{mark.key}\n{address}\n", encoding="utf-8"))


def _mark(file: Path, address: str) -> None:
    """Makes the file whole, unless another server was quicker."""
    partial = file.with_name(f".{file.name}-{uuid.uuid4().hex}")
    partial.write_text(f"{uuid.uuid4().hex}\n{address}\n", encoding="utf-8")
    with suppress(FileExistsError):
        os.link(partial, file)
    partial.unlink()
