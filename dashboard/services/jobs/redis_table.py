"""The list of jobs in Redis, which servers, workers and jobs' processes on several machines share.

Redis holds a row per job as JSON and, of each, the number of its last change. Whoever uses the list keeps a copy of it
in memory (:mod:`dashboard.services.jobs.redis_mirror`), fetches what has changed, and lets the same actions work on
the copy as on the SQLite file of one machine; what they have changed is sent back as one step. One writer at a time
holds a lock that expires, in case the writer dies.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from dashboard.services.jobs.redis_connection import package
from dashboard.services.jobs.redis_home import claim
from dashboard.services.jobs.redis_mirror import Mirror, Rows
from dashboard.services.jobs.table import Action, JobListError

T = TypeVar("T")

PREFIX = "detour:"
#: So long a job's process waits for a server that is started again, rather than lose hours of work.
JOB_PATIENCE_S = 600.0
#: The lock of a writer that died is free after this time; others wait a little longer for it.
LOCK_S, BUSY_S = 15.0, 20.0
_AGAIN_S, _RECONNECT_S = 0.005, 0.5
_ROWS, _CHANGES, _EPOCH, _LOCK, _HOME = (PREFIX + name for name in ("jobs", "changes", "epoch", "lock", "home"))

# What has changed since a version. A server that was started again may have forgotten the last seconds, and gives the
# same numbers anew: its run is a part of the epoch. One text is read faster than thousands.
_FETCH = """
local epoch = redis.call('GET', KEYS[3])
if not epoch then return {} end
epoch = epoch .. (string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or '')
local from = '(' .. ARGV[2]
if epoch ~= ARGV[1] then from = '-inf' end
local changed = redis.call('ZRANGEBYSCORE', KEYS[2], from, '+inf', 'WITHSCORES')
local rows = {}
for i = 1, #changed, 2 do
    rows[#rows + 1] = {changed[i], changed[i + 1], redis.call('HGET', KEYS[1], changed[i])}
end
return {epoch, cjson.encode(rows)}
"""
# All of a change, unless its writer took so long that the lock was given to another. It begins a list if asked to.
_KEEP = """
if redis.call('GET', KEYS[4]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[4])
if ARGV[3] ~= '' and redis.call('EXISTS', KEYS[3]) == 1 then return 1 end
if ARGV[3] ~= '' then
    redis.call('DEL', KEYS[1], KEYS[2])
    redis.call('SET', KEYS[3], ARGV[3])
end
for i = 4, #ARGV, 2 do
    if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i])
    else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
    redis.call('ZADD', KEYS[2], ARGV[2], ARGV[i])
end
return 1
"""
_KEYS = (_ROWS, _CHANGES, _EPOCH, _LOCK)


class RedisTable:
    """Reads and changes the list of jobs; as :class:`dashboard.services.jobs.table.JobTable`."""

    def __init__(
        self,
        client: Any,
        folder: Path,
        refill: Action[None] | None = None,
        *,
        patience_s: float = 0.0,
        address: str = "",
    ) -> None:
        """Uses the list on a server; nothing is sent yet.

        Args:
            client: of the Redis server, as :func:`dashboard.services.jobs.redis_connection.connect` gives it.
            folder: holds a folder per job; the same one, by whatever path, on every machine.
            refill: lists what a fresh list can know from the folders; without it, a list that is gone is an error.
            patience_s: how long a change waits for a server that does not answer.
            address: of the server, without a password: it is written in the folder.
        """
        self.folder = folder
        self._client = client
        self._refill = refill
        self._patience_s = patience_s
        self._address = address
        self._fetch = client.register_script(_FETCH)
        self._keep = client.register_script(_KEEP)
        self._mirror = Mirror()
        self._one_thread = threading.RLock()

    def open(self) -> None:
        """Makes sure that the list is that of the folder, and begins one where there is none.

        Raises:
            JobListError: if it is another's, an application without Redis has one too, or it cannot be used.
        """
        with self._as_list_errors():
            claim(self._client, _HOME, self.folder, self._address)
        self.read(lambda db: None, None)

    def close(self) -> None:
        """Ends the connections."""
        self._client.close()

    def read(self, action: Action[T], otherwise: T) -> T:
        """What ``action`` finds.

        Args:
            action: changes nothing.
            otherwise: not used here: there is always a list.

        Raises:
            JobListError: if the list cannot be read.
        """
        with self._as_list_errors(), self._one_thread:
            if not self._follow():
                self._begin()
            return self._mirror.look(action)

    def write(self, action: Action[T]) -> T:
        """Does ``action`` as one change: all of it or nothing, and nobody in between.

        Raises:
            JobListError: if the list cannot be written.
        """
        with self._as_list_errors(), self._one_thread:
            lock = self._turn()
            try:
                return self._mirror.change(action, lambda rows: self._send(lock, rows))
            except BaseException:
                self._give_back(lock)
                raise

    def renew(self, owner: str, seconds: float) -> None:
        """Vouches for an owner of jobs for some time more.

        Raises:
            JobListError: if the server cannot be reached.
        """
        with self._as_list_errors():
            self._client.set(PREFIX + "owner:" + owner, "1", px=int(seconds * 1000))

    def is_vouched_for(self, owner: str) -> bool:
        """Whether an owner of jobs has lately been heard of.

        Raises:
            JobListError: if the server cannot be reached.
        """
        with self._as_list_errors():
            return bool(self._client.exists(PREFIX + "owner:" + owner))

    def _turn(self) -> str:
        """Waits for the lock and brings the copy up to date; nothing has happened where this raises."""
        redis = package("redis")
        begin = time.monotonic()
        while True:
            lock = self._lock()
            try:
                if self._follow():
                    return lock
                self._give_back(lock)
                self._begin()
            except (redis.ConnectionError, redis.TimeoutError):
                self._give_back(lock)
                if time.monotonic() - begin > self._patience_s:
                    raise
                time.sleep(_RECONNECT_S)

    def _lock(self) -> str:
        redis = package("redis")
        lock, begin = uuid.uuid4().hex, time.monotonic()
        while True:
            try:
                if self._client.set(_LOCK, lock, nx=True, px=int(LOCK_S * 1000)):
                    return lock
                pause, longest, problem = _AGAIN_S, BUSY_S, JobListError("The list of jobs is busy; try again.")
            except (redis.ConnectionError, redis.TimeoutError) as error:
                pause, longest, problem = _RECONNECT_S, self._patience_s, error
            if time.monotonic() - begin > longest:
                raise problem
            time.sleep(pause)

    def _give_back(self, lock: str) -> None:
        # Where the server does not answer, the lock expires.
        with suppress(package("redis").RedisError):
            self._keep(_KEYS, (lock, 0, ""))

    def _follow(self) -> bool:
        """Brings the copy up to date; returns False where there is no list."""
        answer = self._fetch(_KEYS, (self._mirror.epoch, self._mirror.version))
        if not answer:
            return False
        epoch, changed = answer[0], list(json.loads(answer[1]))
        known = self._mirror.version if epoch == self._mirror.epoch else 0
        version = max([known, *(int(number) for _, number, _ in changed)])
        self._mirror.follow(epoch, version, {job_id: text or None for job_id, _, text in changed})
        return True

    def _send(self, lock: str, rows: Rows, epoch: str = "") -> None:
        """Sends a change, and gives the lock back with it."""
        arguments = [part for job_id, text in rows.items() for part in (job_id, text or "")]
        if not self._keep(_KEYS, (lock, 1 if epoch else self._mirror.version + 1, epoch, *arguments)):
            raise JobListError(f"This took longer than {LOCK_S:.0f} s, and others have changed the list; try again.")

    def _begin(self) -> None:
        """Begins a list with what the folders tell, unless somebody else does meanwhile."""
        if self._refill is None:
            raise JobListError("The Redis server has lost its list of jobs; the application lists them anew.")
        claim(self._client, _HOME, self.folder, self._address)
        fresh, found = Mirror(), {}
        # Results are compared with their checksums, which takes its time: others need not wait for it.
        fresh.change(self._refill, found.update)
        fresh.close()
        self._send(self._lock(), found, uuid.uuid4().hex)
        if not self._follow():
            raise JobListError("The Redis server forgets the list of jobs at once; see its memory limit.")

    @contextmanager
    def _as_list_errors(self) -> Iterator[None]:
        try:
            yield
        except package("redis").RedisError as error:
            raise JobListError(
                f"The list of jobs on the Redis server cannot be used ({error}); start the server and try again."
            ) from error
        except OSError as error:
            raise JobListError(
                f"The jobs in {self.folder} cannot be changed ({error.strerror or error}); make the folder writable "
                "and its disk less full, or start with another --data-dir."
            ) from error
