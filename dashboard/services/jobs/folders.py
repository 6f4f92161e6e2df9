"""The files of a job: where they are, and whether its result is the one that was written::

<data_dir>/jobs/<id>/job.json             what was asked for
                     log.txt              what its process said
                     work/                a state to resume from, until the job is done
                     .partial-<attempt>/  a result while it is written
                     result/              the files, summary.json, manifest.json
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import EngineError
from engine.files import write_atomically

MANIFEST, SUMMARY = "manifest.json", "summary.json"
_LOG_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Sealed:
    """A result that is whole.

    Attributes:
        attempt: which run wrote it.
        summary: JSON.
        manifest: SHA-256 of the manifest.
    """

    attempt: str
    summary: str
    manifest: str


@dataclass(frozen=True, slots=True)
class JobFolder:
    """The folder of one job."""

    path: Path

    @property
    def result(self) -> Path:
        """Where the finished files are."""
        return self.path / "result"

    @property
    def work(self) -> Path:
        """Where a job keeps the state it can resume from."""
        return self.path / "work"

    @property
    def log_file(self) -> Path:
        """What the job's process said."""
        return self.path / "log.txt"

    def partial(self, attempt: str) -> Path:
        """Where an attempt writes its result."""
        return self.path / f".partial-{attempt}"

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Makes the folder and notes what the job is, for a list that is lost."""
        self.path.mkdir(parents=True, exist_ok=True)
        text = json.dumps(facts)
        write_atomically(self.path / "job.json", lambda partial: partial.write_text(text))

    def description(self) -> dict[str, Any] | None:
        """What :meth:`describe` noted, or None where it cannot be read."""
        try:
            facts = json.loads((self.path / "job.json").read_text())
        except (OSError, ValueError):
            return None
        return facts if isinstance(facts, dict) else None

    def has_result(self) -> bool:
        """Whether there is a result, whole or not."""
        return (self.result / MANIFEST).is_file()

    def put_in_place(self, attempt: str) -> None:
        """Makes an attempt's files the job's result, in one step."""
        self.drop_result()
        os.replace(self.partial(attempt), self.result)

    def drop_result(self) -> None:
        """Removes the result, which nobody vouches for."""
        if self.result.exists():
            _remove(self.result)

    def set_aside(self) -> Path | None:
        """Renames the result so that it is not used; returns its new place, or None if there is none."""
        aside = self.path / f"damaged-{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
        with contextlib.suppress(FileNotFoundError):
            os.replace(self.result, aside)
            return aside
        return None

    def drop_partial(self, attempt: str) -> None:
        """Removes what an attempt has written so far."""
        shutil.rmtree(self.partial(attempt), ignore_errors=True)

    def drop_work(self) -> None:
        """Removes the state to resume from."""
        shutil.rmtree(self.work, ignore_errors=True)

    def remove(self) -> None:
        """Removes everything."""
        if self.path.exists():
            _remove(self.path)

    def log(self, last: int) -> list[str]:
        """The last lines of the log; of a very long one, only the last part is looked at."""
        try:
            with open(self.log_file, "rb") as file:
                file.seek(max(0, self.log_file.stat().st_size - _LOG_BYTES))
                return file.read().decode("utf-8", "replace").splitlines()[-last:] if last > 0 else []
        except FileNotFoundError:
            return []


def seal(partial: Path, summary: str, attempt: str) -> Sealed:
    """Adds the summary and a manifest of all files to a result that is about to be put in place."""
    (partial / SUMMARY).write_text(summary)
    about = {"attempt": attempt, "files": {name: _digest(partial / name) for name in _names(partial)}}
    data = json.dumps(about, indent=1).encode()
    with open(partial / MANIFEST, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return Sealed(attempt, summary, hashlib.sha256(data).hexdigest())


def check(result: Path, manifest: str | None = None) -> Sealed:
    """Compares a result with its manifest.

    Args:
        result: the folder.
        manifest: SHA-256 the manifest itself must have, if that is known.

    Raises:
        EngineError: naming what is wrong.
    """
    try:
        data = (result / MANIFEST).read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if manifest not in (None, found):
            raise EngineError(f"{MANIFEST} has another checksum")
        about = json.loads(data)
        files, attempt = dict(about["files"]), str(about["attempt"])
        if set(files) != set(_names(result)):
            raise EngineError("files are missing or were added")
        for name, digest in files.items():
            if _digest(result / name) != digest:
                raise EngineError(f"{name} has another checksum")
        summary = (result / SUMMARY).read_text()
        json.loads(summary)
    except OSError as error:
        raise EngineError(f"{error.filename}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(f"{MANIFEST} cannot be read") from error
    return Sealed(attempt, summary, found)


def _names(folder: Path) -> list[str]:
    files = (file for file in sorted(folder.rglob("*")) if not file.is_dir())
    return [name for file in files if (name := file.relative_to(folder).as_posix()) != MANIFEST]


def _digest(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _remove(folder: Path) -> None:
    """Takes a folder away in one step, then its files."""
    gone = folder.with_name(f".removed-{uuid.uuid4().hex}")
    os.replace(folder, gone)
    shutil.rmtree(gone, ignore_errors=True)
