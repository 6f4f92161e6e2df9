"""A queue over test kinds, and a server process that holds one."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil
import pytest

from dashboard.services.jobs.queue import JobQueue
from dashboard.settings import Settings
from tests.conftest import ROOT

KINDS = "tests.dashboard.jobs.kinds"
# The packages' imports are put off as in a job's process: a server that only holds a queue need not wait for torch.
LIGHT = """
import importlib.util, sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("start", Path("dashboard/services/jobs/start.py").resolve())
start = importlib.util.module_from_spec(spec)
spec.loader.exec_module(start)
start.defer("engine")
start.defer("dashboard.services")
"""
_SERVER = """
from dashboard.services.jobs.queue import JobQueue
from dashboard.settings import Settings

queue = JobQueue.embedded(Settings(data_dir=Path(sys.argv[1])), kinds=sys.argv[2], processors=int(sys.argv[3]))
print("ready", flush=True)
sys.stdin.read()
queue.close()
"""


def open_queue(home, processors=2):
    return JobQueue.embedded(Settings(data_dir=home), kinds=KINDS, processors=processors)


@pytest.fixture
def queues(tmp_path):
    """Opens queues on one data directory and closes them at the end."""
    opened = []

    def open_one(processors=2):
        opened.append(open_queue(tmp_path, processors))
        return opened[-1]

    yield open_one
    for queue in opened:
        queue.close()


@pytest.fixture
def queue(queues):
    return queues()


@contextmanager
def server_process(home, processors=2):
    """A process that does nothing but hold a queue; closing its stdin closes the queue."""
    process = subprocess.Popen(
        [sys.executable, "-c", LIGHT + _SERVER, str(home), KINDS, str(processors)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def until(condition, seconds=60):
    """Waits until it holds; deadlines are generous, the machine may be busy."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"did not happen within {seconds} s")


def ended(queue, job, seconds=60):
    """The job once nothing more happens to it."""

    def look():
        now = queue.job(job.id)
        return now if now.has_ended else None

    return until(look, seconds)


def running(queue, job):
    """The job once its process has reported."""

    def look():
        now = queue.job(job.id)
        assert not now.has_ended, now
        return now if now.state == "running" and now.heartbeat and now.fraction > 0 else None

    return until(look)


def gone(pid):
    """Whether a process has ended; a zombie of somebody else has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def partials(home):
    return [path for path in home.rglob("*") if "partial" in path.name]
