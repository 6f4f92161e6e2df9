"""What a worker does: listens to RQ, which lets it start a waiting job whenever it is free."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from types import FrameType

import redis
import rq
from rq.exceptions import StopRequested
from rq.worker import SimpleWorker

from dashboard.services.jobs.folders import JobFolder
from dashboard.services.jobs.job import Order
from dashboard.services.jobs.launching import launch
from dashboard.services.jobs.redis_backend import QUEUE, serializer
from dashboard.services.jobs.redis_connection import connect, require_answer, shown
from dashboard.services.jobs.redis_supervisor import WorkerSupervisor
from dashboard.services.jobs.redis_table import RedisTable
from dashboard.services.jobs.refill import refill
from dashboard.services.jobs.table import REDIS_LIST
from dashboard.settings import Settings
from engine.errors import EngineError

log = logging.getLogger(__name__)

_LOOK_S, _BEAT_S, _AGAIN_S = 0.3, 30.0, 2.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_runner: Runner | None = None


def run_next() -> None:
    """The job of RQ: starts the first waiting job on this machine and returns when its process has ended.

    Raises:
        EngineError: in a process that is no worker of this application.
    """
    if _runner is None:
        raise EngineError("A worker is started by: python -m dashboard.services.jobs.redis_worker")
    _runner.run_next()


def work(server: Settings, url: str, *, kinds: str, threads: int) -> None:
    """Runs jobs, one after the other, until this process is told to end; a job under way is then interrupted.

    Args:
        server: options of the server, with the paths that this machine has for its folders.
        url: of the Redis server.
        kinds: importable module that holds the registry of kinds.
        threads: how many threads a job may compute with.

    Raises:
        EngineError: if the Redis server does not answer, its list belongs to another data directory, or an
            application without Redis runs the jobs of this one.
    """
    global _runner
    _runner = Runner(server, url, kinds, threads)
    _runner.work()


class Runner:
    """A worker: one thread listens to RQ, the other follows the job's process."""

    def __init__(self, server: Settings, url: str, kinds: str, threads: int) -> None:
        """Starts nothing before :meth:`work`."""
        self._server, self._url, self._kinds, self._threads = server, url, kinds, threads
        folder = server.data_dir / "jobs"
        client = connect(url)
        require_answer(client, url)
        self._table = RedisTable(client, folder, lambda db: refill(db, folder), address=shown(url))
        self._table.open()
        self._supervisor = WorkerSupervisor(self._table, self._spawn)
        self._worker: _Worker | None = None
        self._stopping = False

    def work(self) -> None:
        """Listens until it is stopped."""
        self._supervisor.start()
        try:
            while not self._stopping:
                self._listen()
        finally:
            # A second signal must not leave a job behind.
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            self._supervisor.close()
            self._table.close()

    def run_next(self) -> None:
        """Starts the first waiting job, if there is one, and waits for its end."""
        self._supervisor.ask()
        beaten = time.monotonic()
        while not self._supervisor.wait(_LOOK_S):
            if self._stopping:
                self._supervisor.close()
                return
            if time.monotonic() - beaten > _BEAT_S:
                beaten = time.monotonic()
                self._beat()

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Ends :meth:`work`; may be called by a signal."""
        self._stopping = True

    def _listen(self) -> None:
        """Listens until it is stopped, or until RQ gives up because the Redis server is not there."""
        for number in _SIGNALS:
            signal.signal(number, self.stop)
        try:
            client = connect(self._url, timeout_s=None, as_text=False)
            self._worker = _Worker(self, client)
            self._worker.work(logging_level="WARNING")
        except (redis.RedisError, StopRequested, ValueError) as error:
            log.warning("listening ended (%s)", error)
        for number in _SIGNALS:
            signal.signal(number, self.stop)
        if not self._stopping:
            log.warning("it is listened again in %.0f s", _AGAIN_S)
            time.sleep(_AGAIN_S)

    def _beat(self) -> None:
        """Tells RQ that its job is still under way; it gives up those of which it hears nothing."""
        job = rq.get_current_job()
        execution = None if self._worker is None else self._worker.execution
        if job is None or execution is None:
            return
        try:
            self._worker.maintain_heartbeats(job, execution)
        except redis.RedisError as error:
            log.warning("the Redis server does not answer: %s", error)

    def _spawn(self, job_id: str, attempt: str) -> subprocess.Popen:
        order = Order(job_id, attempt, self._kinds, self._threads, self._server)
        folder = JobFolder(self._server.data_dir / "jobs" / job_id)
        return launch(order, folder.log_file, {REDIS_LIST: self._url})


class _Worker(SimpleWorker):
    """RQ's worker that forks nothing: torch's threads hang in forked processes."""

    def __init__(self, runner: Runner, client: redis.Redis) -> None:
        super().__init__([QUEUE], connection=client, serializer=serializer())
        self._runner = runner

    def handle_warm_shutdown_request(self) -> None:
        """RQ was told to end; it would wait for the job, which may take hours."""
        self._runner.stop()
