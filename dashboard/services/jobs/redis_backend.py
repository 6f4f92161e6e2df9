"""The back end for many machines: a list in Redis, and workers that RQ calls."""

from __future__ import annotations

from dashboard.services.jobs.listed import ListedJobs
from dashboard.services.jobs.redis_connection import connect, package, require_answer, shown
from dashboard.services.jobs.redis_keeper import SILENT_S, Keeper
from dashboard.services.jobs.redis_table import RedisTable
from dashboard.services.jobs.refill import refill
from dashboard.settings import Settings

#: The queue of RQ, and what its jobs do: they take no arguments, so that nothing a browser sent gets there.
QUEUE = "detour"
TASK = "dashboard.services.jobs.redis_runner.run_next"


class RedisBackend(ListedJobs):
    """Lets workers on this and other machines run the jobs; the data directory is on a disk that all share.

    RQ only brings a free worker and a waiting job together: each of its jobs says "start the first that waits". What
    the jobs are and how far they have come is in the list. A call that is lost is made up for; one too many finds
    nothing to do.
    """

    def __init__(self, server: Settings, url: str, *, silent_s: float = SILENT_S) -> None:
        """Takes up what an earlier server left behind.

        Args:
            server: options of the server.
            url: of the Redis server.
            silent_s: after how long a job of which nothing is heard has ended.

        Raises:
            EngineError: if the packages are not there, the Redis server does not answer, its list belongs to
                another data directory, or an application without Redis runs the jobs of this one.
        """
        folder = server.data_dir / "jobs"
        client = connect(url)
        package("rq")
        require_answer(client, url)
        table = RedisTable(client, folder, lambda db: refill(db, folder), address=shown(url))
        super().__init__(table)
        table.open()
        # RQ has a connection of its own: it stores bytes.
        self._connections = (client, connect(url, as_text=False))
        self._queue = package("rq").Queue(QUEUE, connection=self._connections[1], serializer=serializer())
        self._keeper = Keeper(table, self._call, silent_s=silent_s)
        self._keeper.start()

    def wake(self) -> None:
        """The keeper looks at the list."""
        self._keeper.wake()

    def close(self) -> None:
        """Leaves the jobs to their workers."""
        self._keeper.close()
        for connection in self._connections:
            connection.close()

    def _call(self, waiting: int) -> None:
        for _ in range(waiting - self._queue.count):
            # No limit of time; RQ need not remember one that has ended, and one that failed not for long.
            self._queue.enqueue(TASK, job_timeout=-1, result_ttl=0, failure_ttl=24 * 3600, description="next job")


def serializer() -> type:
    """RQ's own for JSON: its usual one, pickle, runs code."""
    return package("rq.serializers").JSONSerializer
