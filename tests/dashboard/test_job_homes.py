"""The jobs of a data directory are run by applications without Redis or through one Redis server, never by both."""

import os
import platform
import signal
import sqlite3
import threading
from contextlib import closing
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from dashboard.services.jobs import home
from dashboard.services.jobs.home import MARK, Residence, read_mark
from dashboard.services.jobs.queue import JobQueue
from dashboard.services.jobs.redis_home import claim
from dashboard.services.jobs.table import FILE, JobListError
from dashboard.serving import serve
from dashboard.settings import Settings
from engine.errors import EngineError
from tests.dashboard.jobs.conftest import KINDS, ended, gone, open_queue, running, server_process, until
from tests.dashboard.redis_parts import end, redis_queue, start_worker

ADDRESS = "redis://somewhere:6379/3"


class Database:
    """What a claim needs of Redis."""

    def __init__(self):
        self.kept, self.lock = {}, threading.Lock()

    def get(self, key):
        return self.kept.get(key)

    def set(self, key, value, nx):
        with self.lock:
            assert nx
            self.kept.setdefault(key, value)


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(home, "_PATIENCE_S", 0.3)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "jobs"


def test_an_application_without_redis_leaves_jobs_on_redis_alone(tmp_path, folder):
    claim(Database(), "key", folder, ADDRESS)
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(JobListError) as told:
        JobQueue.start(Settings(data_dir=tmp_path), kinds=KINDS)
    for part in (f"Redis server at {ADDRESS} ", f"--redis {ADDRESS},", "another --data-dir", f"delete {folder / MARK}"):
        assert part in str(told.value)
    assert sorted(path.name for path in folder.iterdir()) == before
    (folder / MARK).unlink()
    open_queue(tmp_path).close()


def test_the_start_of_the_application_is_refused_in_one_sentence(tmp_path, folder):
    claim(Database(), "key", folder, ADDRESS)
    options = {"host": "127.0.0.1", "port": 0, "data_dir": tmp_path, "allowed_host": (), "cache_mb": 50}
    with pytest.raises(click.ClickException, match=f"Start with --redis {ADDRESS}"):
        serve(SimpleNamespace(), **options)


def test_a_mark_of_an_earlier_version_names_no_address(tmp_path, folder):
    folder.mkdir()
    (folder / MARK).write_text("0123456789abcdef")
    assert read_mark(folder).key == "0123456789abcdef"
    with pytest.raises(JobListError, match=r"Redis server and its workers.*Start with --redis and its address"):
        open_queue(tmp_path)
    database = Database()
    claim(database, "key", folder, ADDRESS)
    assert database.kept == {"key": "0123456789abcdef"}
    with pytest.raises(JobListError, match=f"Start with --redis {ADDRESS}"):
        open_queue(tmp_path)


def test_the_address_is_the_one_that_was_used_last(folder):
    database = Database()
    claim(database, "key", folder, ADDRESS)
    claim(database, "key", folder, "redis://moved:6379/3")
    claim(database, "key", folder)
    assert read_mark(folder).address == "redis://moved:6379/3"
    assert read_mark(folder).key == database.kept["key"]


def test_a_list_on_another_server_is_left_alone(folder):
    claim(Database(), "key", folder, ADDRESS)
    moved = Database()
    with pytest.raises(JobListError, match=rf"is kept by {ADDRESS}, and redis://h:1/0 has none.*delete .*{MARK}"):
        claim(moved, "key", folder, "redis://h:1/0")
    assert not moved.kept
    claim(moved, "key", folder, ADDRESS)  # the same server, which has lost what it kept


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe"])
def test_a_damaged_mark_is_named(tmp_path, folder, content):
    folder.mkdir()
    (folder / MARK).write_bytes(content)
    for begin in (lambda: Residence(folder), lambda: claim(Database(), "key", folder, ADDRESS)):
        with pytest.raises(JobListError, match=f"{MARK} is damaged.*Delete it"):
            begin()


def test_jobs_of_applications_without_redis_do_not_go_to_redis(tmp_path, folder):
    one, other = open_queue(tmp_path), open_queue(tmp_path)
    database = Database()
    who = rf"the last to start was process {os.getpid()} on {platform.node()}"
    named = rf"without --redis \({who}\) runs the jobs in .*End it and them first"
    for queue in (one, other):
        with pytest.raises(JobListError, match=named):
            claim(database, "key", folder, ADDRESS)
        assert read_mark(folder) is None
        assert not database.kept
        queue.close()
        queue.close()  # once more does no harm
    claim(database, "key", folder, ADDRESS)
    assert read_mark(folder).key == database.kept["key"]


def test_whoever_comes_first_keeps_the_other_out(tmp_path):
    for number in range(8):
        folder, found, database = tmp_path / str(number) / "jobs", [], Database()
        together = threading.Barrier(4)

        def without(folder=folder, found=found, together=together):
            together.wait()
            found.append(("without", Residence(folder)))

        def through(folder=folder, found=found, together=together, database=database):
            together.wait()
            claim(database, "key", folder, ADDRESS)
            found.append(("through", None))

        def tried(what, found=found):
            def run():
                try:
                    what()
                except JobListError as error:
                    found.append((str(error), None))

            return threading.Thread(target=run)

        threads = [tried(what) for what in (without, through, without, through)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for _, residence in found:
            if residence is not None:
                residence.close()
        assert len({what for what, _ in found if what in ("without", "through")}) == 1, found
        assert len(found) == 4


def test_without_locks_the_mark_alone_is_heeded(tmp_path, folder, monkeypatch, caplog):
    def fail(*_):
        raise OSError("No locks available")

    monkeypatch.setattr(home.fcntl, "flock", fail)
    Residence(folder).close()
    claim(Database(), "key", folder, ADDRESS)
    assert caplog.text.count("No locks available") == 2
    with pytest.raises(JobListError):
        Residence(folder)


def test_a_list_that_applications_without_redis_left_is_set_aside(tmp_path, folder):
    queue = open_queue(tmp_path)
    done = ended(queue, queue.submit("quick", {"n": 1}, label="quick"))
    queue.close()
    database = Database()
    claim(database, "key", folder, ADDRESS)
    assert not (folder / FILE).exists()
    (aside,) = (path for path in folder.glob(f"{FILE}.before-redis-*") if not path.name.endswith(("-wal", "-shm")))
    with closing(sqlite3.connect(aside)) as db:
        assert db.execute("SELECT id, state FROM jobs").fetchall() == [(done.id, "done")]
    (folder / MARK).unlink()
    queue = open_queue(tmp_path)
    try:
        assert [(job.id, job.state) for job in queue.jobs()] == [(done.id, "done")]
    finally:
        queue.close()


# With a real server, and workers and jobs in processes of their own


@pytest.mark.slow
def test_jobs_on_redis_are_run_once_and_taken_over_when_it_is_gone(farm, redis_server, tmp_path, folder):
    queue = farm.queue(workers=False)
    worker = farm.worker()
    job = queue.submit("sleep", {"seconds": 3}, label="runs")
    waiting = queue.submit("quick", {"n": 1}, label="waits")
    running(queue, job)
    for _ in range(2):
        with pytest.raises(EngineError, match=f"Start with --redis {redis_server.url}, or with another --data-dir"):
            JobQueue.start(Settings(data_dir=tmp_path), kinds=KINDS)
        queue.close()  # no application follows the jobs any more, but a worker does
    later = farm.queue(workers=False)
    for one in (job, waiting):
        assert ended(later, one).state == "done"
        assert sum("started" in line for line in later.log(one.id)) == 1
    left = later.submit("sleep", {"seconds": 600}, label="left over")
    pid = running(later, left).pid
    end(worker)
    assert gone(pid)
    later.close()
    (folder / MARK).unlink()
    alone = open_queue(tmp_path)
    try:
        states = {one.id: one.state for one in alone.jobs()}
        assert states == {job.id: "done", waiting.id: "done", left.id: "interrupted"}
        with pytest.raises(EngineError, match="another data directory"):  # it was not gone for good
            redis_queue(tmp_path, redis_server.url)
    finally:
        alone.close()


@pytest.fixture
def only_submits(tmp_path, monkeypatch):
    """A queue that starts nothing itself, and does not keep others out."""
    monkeypatch.setattr("dashboard.services.jobs.supervisor.Supervisor.start", lambda self: None)
    queue = open_queue(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(home, "_PATIENCE_S", 0.3)
    queue._backend._residence.close()
    return queue


@pytest.mark.slow
def test_no_application_and_no_worker_takes_jobs_that_run_without_redis(redis_server, only_submits, tmp_path, folder):
    from dashboard.services.jobs.redis_worker import main

    with server_process(tmp_path) as first:
        job = only_submits.submit("sleep", {"seconds": 600}, label="runs")
        pid = running(only_submits, job).pid
        with pytest.raises(EngineError, match=rf"\(the last to start was process {first.pid} on .* runs the"):
            redis_queue(tmp_path, redis_server.url)
        told = CliRunner().invoke(main, ["--redis", redis_server.url, "--data-dir", str(tmp_path)])
        assert told.exit_code == 1
        assert "Error: An application without --redis" in told.output
        assert read_mark(folder) is None
        first.kill()
        first.wait()
    assert not gone(pid)
    with pytest.raises(EngineError, match="was killed and they run on"):
        redis_queue(tmp_path, redis_server.url)
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid))
    queue = redis_queue(tmp_path, redis_server.url)
    worker = start_worker(tmp_path, redis_server.url)
    try:
        assert queue.job(job.id).state == "interrupted"
        assert ended(queue, queue.submit("quick", {}, label="after")).state == "done"
    finally:
        queue.close()
        end(worker)
