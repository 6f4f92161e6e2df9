"""A copy in memory of the list of jobs that Redis keeps."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from dashboard.services.jobs.table import SCHEMA, Action

T = TypeVar("T")
#: By id of a job: its row as JSON, or None for one that was removed.
Rows = Mapping[str, str | None]

# No id is unique: which of two equal ones to drop would be decided by the statement that sets off the trigger.
_TRIGGER = """
CREATE TEMP TRIGGER note_{event} AFTER {event} ON jobs BEGIN INSERT INTO touched VALUES ({which}.id); END
"""
_TOUCHED = "SELECT t.id AS touched, jobs.* FROM (SELECT DISTINCT id FROM touched) t LEFT JOIN jobs ON jobs.id = t.id"


class Mirror:
    """The list as the actions want it, which are the same for every list: a table of SQLite.

    Not for several threads at once.

    Attributes:
        epoch: which list of which run of the server it is a copy of; "" for none.
        version: number of the last change that it knows.
    """

    def __init__(self) -> None:
        """An empty list."""
        self.epoch = ""
        self.version = 0
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute(SCHEMA)
        self._db.execute("CREATE TEMP TABLE touched (id TEXT)")
        self._columns = [row["name"] for row in self._db.execute("PRAGMA table_info(jobs)")]
        for event, which in (("INSERT", "new"), ("UPDATE", "new"), ("DELETE", "old")):
            self._db.execute(_TRIGGER.format(event=event, which=which))

    def close(self) -> None:
        """Forgets everything."""
        self._db.close()

    def follow(self, epoch: str, version: int, rows: Rows) -> None:
        """Takes over what has changed since :attr:`version`; everything, if the epoch is another.

        Args:
            epoch, version: of the copy when it has done so.
            rows: that were written or removed since.
        """

        def take(db: sqlite3.Connection) -> None:
            if epoch != self.epoch:
                db.execute("DELETE FROM jobs")
            for job_id, text in rows.items():
                if text is None:
                    db.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
                else:
                    self._put(json.loads(text))
            db.execute("DELETE FROM touched")  # these changes come from the list, and need not go there

        self._transact(take)
        self.epoch, self.version = epoch, version

    def look(self, action: Action[T]) -> T:
        """What ``action`` finds; what it changes is undone."""
        self._db.execute("BEGIN")
        try:
            return action(self._db)
        finally:
            self._db.execute("ROLLBACK")

    def change(self, action: Action[T], keep: Callable[[Rows], None]) -> T:
        """Does ``action``, whose changes stay if ``keep`` takes them, and are undone if anything raises."""

        def do(db: sqlite3.Connection) -> T:
            db.execute("DELETE FROM touched")
            result = action(db)
            keep(self._touched())
            return result

        return self._transact(do)

    def _transact(self, action: Action[T]) -> T:
        self._db.execute("BEGIN")
        try:
            result = action(self._db)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        return result

    def _touched(self) -> Rows:
        found: Iterable[sqlite3.Row] = self._db.execute(_TOUCHED)
        rows = ({name: row[name] for name in row.keys()} for row in found)  # noqa: SIM118 - a row's keys are no dict's
        return {row.pop("touched"): None if row["id"] is None else json.dumps(row) for row in rows}

    def _put(self, values: Mapping[str, object]) -> None:
        # Another version may have columns that this one does not know, and the other way round.
        known = {name: values[name] for name in self._columns if name in values}
        updates = ", ".join(f"{name} = excluded.{name}" for name in known)
        self._db.execute(
            f"INSERT INTO jobs ({', '.join(known)}) VALUES ({', '.join('?' * len(known))}) "
            f"ON CONFLICT (id) DO UPDATE SET {updates}",
            tuple(known.values()),
        )
