"""What a queue does when nothing goes wrong."""

import json
import os
import threading
import time

import psutil
import pytest

from dashboard.services.jobs.job import Order
from dashboard.settings import Settings
from engine.errors import InvalidInputError, UnknownNameError
from tests.dashboard.jobs.conftest import ended, partials, running, until


def test_a_job_runs_in_a_process_of_its_own_and_leaves_a_result(queue, tmp_path):
    job = queue.submit("sleep", {"seconds": 1.5}, label="A short sleep")
    assert (job.state, job.position, job.label) == ("queued", 1, "A short sleep")
    busy = running(queue, job)
    assert busy.position == 0
    assert busy.pid not in (None, os.getpid())
    assert psutil.Process(busy.pid).create_time() == pytest.approx(busy.pid_created, abs=2)
    done = ended(queue, job)
    assert (done.state, done.fraction, done.error) == ("done", 1.0, None)
    assert done.created <= done.started <= done.ended
    assert done.summary["niceness"] >= 10
    folder = queue.result(done)
    assert (folder / "answer.txt").read_text().startswith("forty-two")
    assert set(json.loads((folder / "manifest.json").read_text())["files"]) == {"answer.txt", "summary.json"}
    assert any("started" in line for line in queue.log(job.id))
    assert len(queue.log(job.id, last=1)) == 1
    assert not partials(tmp_path)
    until(lambda: not (folder.parent / "work").exists(), 10)  # removed right after the job is called done


def test_the_process_is_light_and_limited_to_its_threads(queues):
    queue = queues(processors=3)
    done = ended(queue, queue.submit("quick", {}, label="quick"))
    assert done.summary == {"threads": 2, "heavy": [], "environment": "2"}


@pytest.mark.slow
def test_a_job_may_import_all_there_is(queue):
    done = ended(queue, queue.submit("torch-threads", {}, label="torch"))
    assert done.state == "done", queue.log(done.id)
    assert done.summary == {"threads": 1, "names": ["Services", "EffectivePath"]}


def test_seconds_left_are_estimated(queue):
    job = queue.submit("sleep", {"seconds": 5}, label="sleep")
    left = until(lambda: queue.job(job.id).seconds_left)
    assert 0 < left < 60
    queue.cancel(job.id)
    assert ended(queue, job).seconds_left is None


def test_equal_submissions_run_once_and_the_rest_queue_with_their_position(queue):
    first = queue.submit("sleep", {"seconds": 3, "n": -1}, label="first")
    until(lambda: queue.job(first.id).state == "running")
    ids, lock = [], threading.Lock()

    def submit(n):
        job = queue.submit("quick", {"n": n}, label=f"job {n}")
        with lock:
            ids.append(job.id)

    threads = [threading.Thread(target=submit, args=(n,)) for n in [*range(20), *[99] * 20]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 40
    assert len(set(ids)) == 21
    waiting = [job for job in queue.jobs() if job.state == "queued"]
    assert [job.position for job in waiting] == list(range(1, len(waiting) + 1))
    assert [queue.job(job.id).position for job in waiting[:3]] == [1, 2, 3]
    for job in waiting:
        queue.cancel(job.id)
    assert {queue.job(job.id).state for job in waiting} == {"cancelled"}


def test_the_order_of_settings_does_not_matter_their_values_do(queue):
    first = queue.submit("quick", {"a": 1, "b": 2}, label="x")
    assert queue.submit("quick", {"b": 2, "a": 1}, label="y").id == first.id
    assert queue.submit("quick", {"a": 1, "b": 3}, label="x").id != first.id
    ended(queue, first)
    assert queue.submit("quick", {"a": 1, "b": 2}, label="z").state == "done"


def test_no_more_jobs_at_once_than_there_are_slots(queues):
    queue = queues(processors=3)
    jobs = [queue.submit("sleep", {"seconds": 0.5, "n": n}, label=str(n)) for n in range(5)]
    most = 0
    while not all(queue.job(job.id).has_ended for job in jobs):
        most = max(most, sum(job.state == "running" for job in queue.jobs()))
        time.sleep(0.05)
    assert most == 2
    assert {queue.job(job.id).state for job in jobs} == {"done"}
    starts = [queue.job(job.id).started for job in jobs]
    assert starts == sorted(starts)


def test_a_running_job_is_cancelled_cooperatively_and_can_run_again_where_it_stopped(queue, tmp_path):
    job = queue.submit("sleep", {"seconds": 3}, label="sleep")
    running(queue, job)
    assert queue.cancel(job.id).cancelling
    cancelled = ended(queue, job, 10)
    assert (cancelled.state, cancelled.error, cancelled.cancelling) == ("cancelled", None, False)
    assert any("stopped" in line for line in queue.log(job.id))
    assert not partials(tmp_path)
    with pytest.raises(InvalidInputError, match="cancelled"):
        queue.result(cancelled)
    assert queue.cancel(job.id).state == "cancelled"
    again = queue.run_again(job.id)
    assert (again.id, again.state) == (job.id, "queued")
    done = ended(queue, again)
    assert done.state == "done"
    assert done.summary["resumed_at"] > 0


def test_a_submission_equal_to_a_cancelled_one_runs(queue):
    job = queue.submit("sleep", {"seconds": 600}, label="sleep")
    queue.cancel(job.id)
    ended(queue, job)
    again = queue.submit("sleep", {"seconds": 600}, label="sleep")
    assert (again.id, again.state) == (job.id, "queued")


def test_a_job_that_waits_is_cancelled_at_once(queue):
    first = queue.submit("sleep", {"seconds": 600}, label="first")
    running(queue, first)
    second = queue.submit("quick", {}, label="second")
    assert queue.cancel(second.id).state == "cancelled"


def test_jobs_that_ended_can_be_removed_others_not(queue, tmp_path):
    job = queue.submit("sleep", {"seconds": 600}, label="first")
    running(queue, job)
    with pytest.raises(InvalidInputError, match="running; cancel it"):
        queue.remove(job.id)
    queue.cancel(job.id)
    ended(queue, job)
    queue.remove(job.id)
    assert queue.jobs() == []
    assert not [path for path in (tmp_path / "jobs").iterdir() if path.is_dir()]


@pytest.mark.parametrize("job_id", ["0" * 32, "../../etc/passwd", "", "x" * 10_000, "' OR 1=1 --"])
@pytest.mark.parametrize("first", [True, False], ids=["no list yet", "a list"])
def test_unknown_ids_are_told_apart(queue, job_id, first):
    if not first:
        queue.cancel(queue.submit("quick", {}, label="one").id)
    for ask in (queue.job, queue.cancel, queue.run_again, queue.remove, queue.log):
        with pytest.raises(UnknownNameError, match="There is no job"):
            ask(job_id)


def test_unknown_kinds_and_settings_that_are_no_json_are_refused(queue, tmp_path):
    with pytest.raises(UnknownNameError, match="known: sleep"):
        queue.submit("os.system", {}, label="x")
    for settings in ({"a": float("nan")}, {"a": {1, 2}}, {1: 2}, {"a": "x" * 200_000}):
        with pytest.raises(InvalidInputError, match="settings"):
            queue.submit("quick", settings, label="x")
    assert not (tmp_path / "jobs").exists()


def test_an_order_keeps_the_password_to_itself(tmp_path):
    settings = Settings(data_dir=tmp_path, datasets_dir=tmp_path / "d", password="secret", model="a:b")
    text = Order("1", "2", "kinds", 1, settings).to_json()
    assert "secret" not in text
    assert Order.from_json(text).server == Settings(data_dir=tmp_path, datasets_dir=tmp_path / "d", model="a:b")


@pytest.mark.slow
def test_fifty_short_jobs_leak_nothing(queues):
    me = psutil.Process()
    before = set(me.children())  # of other tests: a browser, a server
    queue = queues(processors=3)
    ended(queue, queue.submit("quick", {"n": "first"}, label="first"))
    until(lambda: set(me.children()) <= before)
    files, threads = me.num_fds(), me.num_threads()
    jobs = [queue.submit("quick", {"n": n}, label=str(n)) for n in range(50)]
    until(lambda: all(queue.job(job.id).state == "done" for job in jobs), 180)
    until(lambda: set(me.children()) <= before)
    assert me.num_fds() <= files + 1
    assert me.num_threads() <= threads
