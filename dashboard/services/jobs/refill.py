"""What a fresh list of jobs can know: the results that lie in the jobs' folders."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from pathlib import Path

from dashboard.services.jobs.folders import JobFolder, Sealed, check
from engine.errors import EngineError

log = logging.getLogger(__name__)

_ID = re.compile(r"[0-9a-f]{32}")
_LOST = "The list of jobs was damaged while this job had no result; run it again."
_INSERT = """
INSERT OR IGNORE INTO jobs (id, identity, kind, label, settings, created, queued, ended, fraction,
    state, error, summary, manifest)
VALUES (:id, :identity, :kind, :label, :settings, :created, :created, :ended, :fraction,
    :state, :error, :summary, :manifest)
"""


def refill(db: sqlite3.Connection, folder: Path) -> None:
    """Lists the jobs of ``folder`` anew: done where the result is whole, interrupted otherwise."""
    listed = 0
    for path in sorted(folder.iterdir()):
        if _ID.fullmatch(path.name) and path.is_dir():
            listed += _list_one(db, JobFolder(path))
    if listed:
        log.warning("%d jobs were listed anew from their folders in %s", listed, folder)


def _list_one(db: sqlite3.Connection, folder: JobFolder) -> bool:
    facts = folder.description()
    try:
        if facts is None:
            raise EngineError("job.json cannot be read")
        db.execute(_INSERT, _values(folder, facts, _whole_result(folder)))
    except (EngineError, KeyError, TypeError, ValueError, sqlite3.InterfaceError) as error:
        log.warning("the job in %s is not listed: %s", folder.path, error)
        return False
    return True


def _whole_result(folder: JobFolder) -> Sealed | None:
    if not folder.has_result():
        return None
    try:
        return check(folder.result)
    except EngineError as error:
        log.warning("the result in %s is damaged (%s); it is set aside", folder.path, error)
        folder.set_aside()
        return None


def _values(folder: JobFolder, facts: dict, sealed: Sealed | None) -> dict:
    values = {name: str(facts[name]) for name in ("identity", "kind", "label")}
    values |= {"id": folder.path.name, "settings": json.dumps(facts["settings"]), "created": float(facts["created"])}
    if sealed is None:
        values |= {"state": "interrupted", "error": _LOST, "ended": None, "fraction": 0}
        return values | {"summary": None, "manifest": None}
    values |= {"state": "done", "error": None, "ended": folder.result.stat().st_mtime, "fraction": 1}
    return values | {"summary": sealed.summary, "manifest": sealed.manifest}
