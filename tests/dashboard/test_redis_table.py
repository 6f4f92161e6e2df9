"""The list of jobs in Redis does what the list in a file does, whoever changes it, and no change is lost."""

import subprocess
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.services.jobs import redis_table, transitions
from dashboard.services.jobs.job import Submission
from dashboard.services.jobs.processes import Identity
from dashboard.services.jobs.redis_connection import connect
from dashboard.services.jobs.redis_supervisor import WorkerSupervisor
from dashboard.services.jobs.redis_table import RedisTable
from dashboard.services.jobs.supervisor import LOOK_S
from dashboard.services.jobs.table import JobListError, JobTable
from dashboard.services.jobs.transitions import Owner
from tests.dashboard.jobs.conftest import until

redis = pytest.importorskip("redis", reason="jobs on Redis need the package rq")
pytestmark = pytest.mark.slow

OWNER = Owner("machine|queue", Identity(1, 1.0))


@pytest.fixture
def tables(redis_server, tmp_path):
    """Opens the list as several processes would."""
    opened = []

    def open_one(**options):
        opened.append(RedisTable(connect(redis_server.url), tmp_path / "jobs", lambda db: None, **options))
        opened[-1].open()
        return opened[-1]

    yield open_one
    for table in opened:
        table.close()


def submission(number):
    return Submission("quick", f"job {number}", {"n": number}, f"identity {number}")


def enter(table, number):
    return table.write(lambda db: transitions.enter(db, submission(number), lambda job_id: True))[0]


def do(table, what, number):
    """One change; says what came of it."""

    def change(db):
        row = db.execute("SELECT * FROM jobs WHERE identity = ?", (f"identity {number}",)).fetchone()
        if what == "enter":
            return transitions.enter(db, submission(number), lambda job_id: True)[1]
        if what == "start":
            started = transitions.start_next(db, OWNER, 2, lambda job_id, attempt: Identity(number, 1.0))
            return started is not None
        if row is None:
            return None
        if what == "stop":
            return transitions.ask_to_stop(db, row["id"]).state
        if what == "again":
            return transitions.queue_again(db, row["id"]).state
        if what == "beat":
            found = transitions.beat(db, row["id"], row["attempt"], 0.25, "a quarter", None)
            return found["mine"], found["cancel_asked"] is not None
        if what == "finish":
            return transitions.finish(db, row["id"], row["attempt"], "{}", "manifest")
        if what == "fail":
            return transitions.end(db, row["id"], row["attempt"], "failed", "why")
        return db.execute("DELETE FROM jobs WHERE id = ?", (row["id"],)).rowcount

    return table.write(change)


def shown(table):
    jobs = table.read(transitions.all_jobs, [])
    return [(job.label, job.state, job.position, job.fraction, job.message, job.error, job.pid) for job in jobs]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["enter", "enter", "start", "stop", "again", "beat", "finish", "fail", "remove"]),
            st.integers(0, 4),
            st.integers(0, 1),
        ),
        max_size=25,
    )
)
def test_two_processes_and_a_list_in_redis_say_what_one_list_in_a_file_says(
    tables, redis_server, tmp_path_factory, steps
):
    redis_server.client().flushall()
    several = [tables(), tables()]
    file = JobTable(tmp_path_factory.mktemp("file"), lambda db: None)
    for what, number, who in steps:
        assert do(several[who], what, number) == do(file, what, number)
    expected = shown(file)
    assert [shown(table) for table in several] == [expected, expected]
    assert shown(tables()) == expected


def test_changes_of_many_threads_and_processes_are_all_kept(tables):
    several = [tables() for _ in range(4)]
    job_id = enter(several[0], 1)

    def count(table):
        for _ in range(25):
            table.write(lambda db: db.execute("UPDATE jobs SET fraction = fraction + 1 WHERE id = ?", (job_id,)))

    threads = [threading.Thread(target=count, args=(table,)) for table in several for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tables().read(lambda db: transitions.one_job(db, job_id), None).fraction == 4 * 2 * 25


def test_a_change_that_fails_is_undone_and_others_need_not_wait(tables):
    one, other = tables(), tables()

    def fails(db):
        transitions.enter(db, submission(1), lambda job_id: True)
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        one.write(fails)
    begin = time.monotonic()
    assert shown(one) == shown(other) == []
    enter(other, 2)
    assert time.monotonic() - begin < redis_table.LOCK_S / 2
    assert shown(one) == shown(other)


def test_what_is_read_changes_nothing(tables):
    one, other = tables(), tables()
    job_id = enter(one, 1)
    one.read(lambda db: db.execute("DELETE FROM jobs"), None)
    assert len(shown(one)) == len(shown(other)) == 1
    one.write(lambda db: transitions.ask_to_stop(db, job_id))
    assert shown(one) == shown(other)


def test_a_writer_that_dies_holds_the_others_up_for_a_while_only(tables, redis_server, monkeypatch):
    monkeypatch.setattr(redis_table, "LOCK_S", 1.0)
    table = tables()
    assert redis_server.client().set(redis_table._LOCK, "of a process that was killed", px=1500)
    enter(table, 1)
    assert len(shown(table)) == 1


def test_a_change_that_took_too_long_is_refused_where_another_came_first(tables, monkeypatch):
    monkeypatch.setattr(redis_table, "LOCK_S", 0.3)
    slow, quick = tables(), tables()

    def dawdle(db):
        time.sleep(0.6)
        enter(quick, 2)
        return transitions.enter(db, submission(1), lambda job_id: True)

    with pytest.raises(JobListError, match="others have changed the list; try again"):
        slow.write(dawdle)
    assert [label for label, *_ in shown(slow)] == [label for label, *_ in shown(quick)] == ["job 2"]


def test_a_server_that_lost_its_last_seconds_is_read_anew(tables, redis_server):
    table = tables()
    kept, lost = enter(table, 1), enter(table, 2)
    client = redis_server.client()
    before = (client.hgetall(redis_table._ROWS), client.zrange(redis_table._CHANGES, 0, -1, withscores=True))
    table.write(lambda db: transitions.ask_to_stop(db, kept))
    table.write(lambda db: transitions.ask_to_stop(db, lost))
    for key in (redis_table._ROWS, redis_table._CHANGES):
        client.delete(key)
    client.hset(redis_table._ROWS, mapping=before[0])
    client.zadd(redis_table._CHANGES, dict(before[1]))
    redis_server.stop()
    redis_server.start()
    assert [state for _, state, *_ in shown(table)] == ["queued", "queued"]


def test_a_change_waits_for_a_server_that_is_started_again_where_it_was_told_to(tables, redis_server):
    patient, hasty = tables(patience_s=30.0), tables()
    redis_server.stop()
    starting = threading.Timer(1.5, redis_server.start)
    starting.start()
    with pytest.raises(JobListError, match="start the server and try again"):
        enter(hasty, 1)
    enter(patient, 2)
    starting.join()
    assert [label for label, *_ in shown(hasty)] == ["job 2"]


def test_a_list_that_is_gone_is_an_error_for_who_cannot_make_one(redis_server, tables, tmp_path):
    tables()
    table = RedisTable(connect(redis_server.url), tmp_path / "jobs")
    redis_server.client().flushall()
    with pytest.raises(JobListError, match="has lost its list of jobs"):
        table.write(lambda db: None)


def test_the_same_claim_has_the_same_answer_in_either_list(tables, tmp_path):
    for table in (tables(), JobTable(tmp_path / "file", lambda db: None)):
        first, second = enter(table, 1), enter(table, 2)
        spawned = []

        def claim(token, table=table, spawned=spawned):
            def spawn(job_id, attempt):
                spawned.append((job_id, attempt))
                return Identity(1, 1.0)

            return table.write(lambda db: transitions.start_next(db, OWNER, 9, spawn, token))

        one = claim("a" * 32)
        assert one[0] == first
        assert claim("a" * 32) == one
        table.write(lambda db, which=one: transitions.finish(db, *which, "{}", "manifest"))
        assert claim("a" * 32) == one
        other = claim("b" * 32)
        assert other[0] == second
        assert claim("b" * 32) == other
        assert spawned == [one, other]
        assert claim("c" * 32) is None


@pytest.fixture
def worker(tables, tmp_path):
    """The thread of a worker whose jobs are processes that sleep; their attempts are in ``spawned``."""
    spawned = []

    def spawn(job_id, attempt):
        process = subprocess.Popen(["sleep", "600"], start_new_session=True)
        spawned.append(((job_id, attempt), process))
        return process

    supervisor = WorkerSupervisor(tables(), spawn)
    supervisor.spawned = spawned
    supervisor.start()
    yield supervisor
    supervisor.close()
    assert all(process.poll() is not None for _, process in spawned)


class LosesReplies:
    """The script that keeps a change, on a bad line: the reply to the start of a job does not arrive, some times."""

    def __init__(self, keep, is_carried_out, times):
        self.keep, self.is_carried_out, self.times = keep, is_carried_out, times

    def __call__(self, keys, arguments):
        if self.times and any('"state": "running"' in str(part) for part in arguments):
            self.times -= 1
            if self.is_carried_out:
                assert self.keep(keys, arguments) == 1
            raise redis.TimeoutError("Timeout reading from socket")
        return self.keep(keys, arguments)


@pytest.mark.parametrize(("is_carried_out", "times"), [(True, 1), (False, 2)])
def test_a_worker_that_does_not_hear_that_a_job_was_started_starts_no_second_one(tables, worker, is_carried_out, times):
    seen = tables()
    jobs = [enter(seen, number) for number in range(3)]
    line = worker._table._keep = LosesReplies(worker._table._keep, is_carried_out, times)
    worker.ask()

    def under_way():
        rows = seen.read(transitions.unfinished, [])
        return [(row["id"], row["attempt"]) for row in rows if row["state"] == "running"]

    until(lambda: line.times == 0 and worker._current)
    until(lambda: len(worker._children) == 1)  # processes that the list knows nothing of are ended
    time.sleep(3 * LOOK_S)
    assert under_way() == [worker._current]
    assert [worker._current] == [key for key, process in worker.spawned if process.poll() is None]
    assert worker._current[0] == jobs[0]
    assert len(worker.spawned) == (1 if is_carried_out else 1 + times)
    assert not worker.wait(0)
    seen.write(lambda db: transitions.ask_to_stop(db, jobs[0]))
    assert worker.wait(30), "free for the next call"
    assert [state for _, state, *_ in shown(seen)].count("queued") == 2
    worker.ask()
    until(lambda: [job_id for job_id, _ in under_way()] == [jobs[1]])


def test_a_job_that_ended_before_its_worker_heard_of_its_start_was_this_call_s_job(tables, worker):
    seen = tables()
    jobs = [enter(seen, number) for number in range(2)]
    keep = worker._table._keep

    def ends_at_once(keys, arguments):
        if not any('"state": "running"' in str(part) for part in arguments):
            return keep(keys, arguments)
        worker._table._keep = keep
        assert keep(keys, arguments) == 1
        (key, process), *_ = worker.spawned
        seen.write(lambda db: transitions.finish(db, *key, "{}", "manifest"))
        process.kill()
        raise redis.ConnectionError("Connection closed by server.")

    worker._table._keep = ends_at_once
    worker.ask()
    assert worker.wait(30)
    assert len(worker.spawned) == 1
    assert {label: state for label, state, *_ in shown(seen)} == {"job 0": "done", "job 1": "queued"}
    assert worker._claim == ""
    assert jobs[0] == worker.spawned[0][0][0]
