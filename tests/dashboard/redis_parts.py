"""A real Redis server, workers as processes, and a queue of a server that they serve."""

import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from dashboard.services.jobs.queue import JobQueue
from dashboard.services.jobs.redis_backend import RedisBackend
from dashboard.settings import Settings
from tests.conftest import ROOT
from tests.dashboard.jobs.conftest import KINDS, LIGHT, until
from tests.dashboard.jobs.kinds import kinds

_WORKER = """
from dashboard.services.jobs.redis_runner import work
from dashboard.settings import Settings

work(Settings(data_dir=Path(sys.argv[1])), sys.argv[2], kinds=sys.argv[3], threads=int(sys.argv[4]))
"""


@dataclass
class RedisServer:
    """A server on a port of its own, which can be stopped and started again."""

    folder: Path
    port: int
    process: subprocess.Popen | None = None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self):
        import redis

        return redis.Redis.from_url(self.url, decode_responses=True)

    def start(self):
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        with open(self.folder / "redis.log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

        def answers():
            try:
                with self.client() as client:
                    return client.ping()
            except Exception:
                assert self.process.poll() is None, (self.folder / "redis.log").read_text()
                return False

        until(answers)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


@contextmanager
def running_redis(folder):
    """A server that ends with the context; skips where there is none to be had, unless DETOUR_REQUIRE_REDIS is set."""
    pytest.importorskip("rq", reason="jobs on Redis need the package rq")
    if shutil.which("redis-server") is None:
        message = "no redis-server on the PATH (Debian's package redis-server)"
        if os.environ.get("DETOUR_REQUIRE_REDIS"):
            pytest.fail(message)
        pytest.skip(message)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = RedisServer(folder, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def start_worker(home, url, threads=1):
    """A worker over the test kinds; what it says goes to worker.log in ``home``."""
    with open(home / "worker.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", LIGHT + _WORKER, str(home), url, KINDS, str(threads)],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=log, stderr=log,
        )  # fmt: skip


def end(process):
    """Ends a worker as its person would; it has ten seconds as a server has."""
    process.terminate()
    try:
        process.wait(30)
    finally:
        process.kill()
        process.wait()


def redis_queue(home, url, silent_s=30.0):
    """The queue of a server."""
    return JobQueue(kinds, RedisBackend(Settings(data_dir=home), url, silent_s=silent_s))


class Farm:
    """Queues and workers on one data directory."""

    def __init__(self, home, server):
        self.home, self.server = home, server
        self._queues, self._workers = [], []

    def queue(self, processors=2, workers=True, silent_s=30.0):
        """A queue, with a worker for every processor but one, where there are none yet."""
        self._queues.append(redis_queue(self.home, self.server.url, silent_s))
        while workers and len(self._workers) < processors - 1:
            self.worker(processors - 1)
        return self._queues[-1]

    def worker(self, threads=1):
        """A further worker."""
        self._workers.append(start_worker(self.home, self.server.url, threads))
        return self._workers[-1]

    def said(self):
        """What the workers have said."""
        return (self.home / "worker.log").read_text()

    def close(self):
        for queue in self._queues:
            queue.close()
        for worker in self._workers:
            end(worker)
