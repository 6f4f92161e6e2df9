"""Servers that die, and servers that share a data directory."""

import os
import signal
import sqlite3
import time
from contextlib import closing

import psutil
import pytest

from dashboard.services.jobs.embedded import EmbeddedBackend
from tests.dashboard.jobs.conftest import ended, gone, open_queue, running, server_process, until


@pytest.fixture
def only_submits(monkeypatch, tmp_path):
    """A queue that starts nothing itself: the jobs go to the server process."""
    monkeypatch.setattr("dashboard.services.jobs.supervisor.Supervisor.start", lambda self: None)
    queue = open_queue(tmp_path)
    monkeypatch.undo()
    return queue


def owner_pid(tmp_path, job):
    with closing(sqlite3.connect(tmp_path / "jobs" / "jobs.sqlite")) as db:
        return db.execute("SELECT owner_pid FROM jobs WHERE id = ?", (job.id,)).fetchone()[0]


@pytest.mark.slow
def test_the_job_of_a_killed_server_is_adopted_and_finishes(queues, only_submits, tmp_path):
    with server_process(tmp_path) as server:
        job = only_submits.submit("sleep", {"seconds": 6}, label="long")
        before = running(only_submits, job)
        assert owner_pid(tmp_path, job) == server.pid
        server.kill()
        server.wait()
        assert psutil.pid_exists(before.pid)
        queue = queues()
        adopted = queue.job(job.id)
        assert (adopted.state, adopted.pid) == ("running", before.pid)
        assert owner_pid(tmp_path, job) == os.getpid()
        done = ended(queue, job)
        assert (done.state, done.summary["pid"], done.summary["resumed_at"]) == ("done", before.pid, 0)
        assert (queue.result(done) / "answer.txt").exists()


def test_an_adopted_job_can_be_cancelled(queues, only_submits, tmp_path):
    with server_process(tmp_path) as server:
        job = only_submits.submit("sleep", {"seconds": 600}, label="long")
        pid = running(only_submits, job).pid
        server.kill()
        server.wait()
        queue = queues()
        queue.cancel(job.id)
        assert ended(queue, job, 10).state == "cancelled"
        until(lambda: gone(pid))


def test_an_adopted_job_that_is_killed_is_interrupted(queues, only_submits, tmp_path):
    with server_process(tmp_path) as server:
        job = only_submits.submit("sleep", {"seconds": 600}, label="long")
        pid = running(only_submits, job).pid
        server.kill()
        server.wait()
        queue = queues()
        os.kill(pid, signal.SIGKILL)
        assert ended(queue, job, 5).state == "interrupted"
        after = queue.submit("quick", {}, label="after")
        assert ended(queue, after).state == "done"


@pytest.mark.slow
def test_a_job_that_died_with_its_server_is_interrupted_at_once(queues, only_submits, tmp_path):
    with server_process(tmp_path) as server:
        job = only_submits.submit("sleep", {"seconds": 5}, label="long")
        pid = running(only_submits, job).pid
        server.kill()
        server.wait()
        os.kill(pid, signal.SIGKILL)
        until(lambda: gone(pid))
        queue = queues()
        interrupted = queue.job(job.id)
        assert (interrupted.state, "run it again" in interrupted.error) == ("interrupted", True)
        assert not list(tmp_path.rglob("begun.txt"))
        again = ended(queue, queue.run_again(job.id))
        assert again.state == "done", (again.error, queue.log(again.id))
        assert again.summary["resumed_at"] > 0


def test_a_process_number_that_was_used_again_is_not_taken_for_the_job(queues, only_submits, tmp_path):
    job = only_submits.submit("quick", {}, label="old")
    with closing(sqlite3.connect(tmp_path / "jobs" / "jobs.sqlite")) as db, db:
        db.execute(
            "UPDATE jobs SET state = 'running', attempt = 'a', pid = ?, pid_created = ?, owner = 'b', owner_pid = ?, "
            "owner_created = ? WHERE id = ?",
            (os.getpid(), time.time() - 1e6, os.getpid(), time.time() - 1e6, job.id),
        )
    assert queues().job(job.id).state == "interrupted"


@pytest.mark.slow
def test_a_job_that_finishes_without_a_server_is_seen_by_the_next(queues, only_submits, tmp_path):
    with server_process(tmp_path) as server:
        job = only_submits.submit("sleep", {"seconds": 2}, label="long")
        pid = running(only_submits, job).pid
        server.kill()
        server.wait()
        until(lambda: gone(pid))
        queue = queues()
        done = queue.job(job.id)
        assert done.state == "done"
        assert (queue.result(done) / "answer.txt").exists()


def test_a_result_in_place_counts_though_its_process_could_not_say_so(queues, only_submits, tmp_path):
    queue = queues()
    job = ended(queue, queue.submit("quick", {}, label="quick"))
    queue.close()
    with closing(sqlite3.connect(tmp_path / "jobs" / "jobs.sqlite")) as db, db:
        db.execute(
            "UPDATE jobs SET state = 'running', summary = NULL, manifest = NULL, owner_pid = 1, owner_created = 0"
        )
    later = queues()
    assert later.job(job.id).state == "done"
    assert later.job(job.id).summary == job.summary
    assert later.result(job)


def test_a_server_that_is_stopped_leaves_no_process(queues, only_submits, tmp_path):
    with server_process(tmp_path) as server:
        job = only_submits.submit("sleep", {"seconds": 600}, label="long")
        pid = running(only_submits, job).pid
        begin = time.monotonic()
        server.communicate()  # ends its input
        assert time.monotonic() - begin < 10
        assert gone(pid)
        assert only_submits.job(job.id).state == "interrupted"


@pytest.mark.slow
def test_two_servers_on_one_directory_start_each_job_once(queues, tmp_path):
    queue = queues()
    with server_process(tmp_path) as server:
        jobs = [queue.submit("quick", {"n": n}, label=str(n)) for n in range(12)]
        owners, most = set(), 0
        while not all(queue.job(job.id).has_ended for job in jobs):
            now = [job for job in queue.jobs() if job.state == "running"]
            most = max(most, len(now))
            time.sleep(0.02)
        assert {queue.job(job.id).state for job in jobs} == {"done"}
        assert most == 1
        for job in jobs:
            assert sum("started" in line for line in queue.log(job.id)) == 1
            owners.add(owner_pid(tmp_path, job))
        assert owners <= {os.getpid(), server.pid}


@pytest.mark.slow
def test_another_server_takes_over_from_one_that_dies(queues, only_submits, tmp_path):
    with server_process(tmp_path) as server:
        job = only_submits.submit("sleep", {"seconds": 5}, label="long")
        running(only_submits, job)
        queue = queues()
        assert owner_pid(tmp_path, job) == server.pid
        server.kill()
        server.wait()
        until(lambda: owner_pid(tmp_path, job) == os.getpid(), 10)
        assert ended(queue, job).state == "done"


def test_a_process_whose_job_was_not_started_for_it_does_nothing(tmp_path, queues, only_submits):
    job = only_submits.submit("sleep", {"seconds": 600}, label="long")
    backend = EmbeddedBackend(only_submits._backend._server, "tests.dashboard.jobs.kinds", processors=2)
    try:
        real = running(only_submits, job)
        stray = backend._spawn(job.id, "another attempt")
        assert stray.wait(30) == 0
        assert only_submits.job(job.id).pid == real.pid
        assert only_submits.job(job.id).state == "running"
    finally:
        backend.close()
