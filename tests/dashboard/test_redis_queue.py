"""Jobs on RQ with a real Redis server: what the queue of one machine promises, and what only many machines need."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from types import SimpleNamespace

import psutil
import pytest
from click.testing import CliRunner

from dashboard.services import Services
from dashboard.services.jobs import redis_keeper
from dashboard.services.jobs.redis_connection import connect, shown
from dashboard.services.jobs.redis_keeper import GONE
from dashboard.services.jobs.redis_supervisor import VOUCHED_S
from dashboard.services.jobs.redis_worker import main
from dashboard.settings import Settings
from engine.errors import EngineError, InvalidInputError
from tests.conftest import ROOT
from tests.dashboard.jobs.conftest import KINDS, ended, gone, partials, running, until

# The contract of the queue, over these fixtures.
from tests.dashboard.jobs.test_faults import (  # noqa: F401
    test_a_failed_job_frees_its_slot_and_old_results_stay_readable,
    test_a_failed_job_says_why_and_leaves_no_half_result,
    test_a_job_that_does_not_stop_is_killed_with_all_it_started,
    test_a_killed_job_is_failed_within_five_seconds_and_its_slot_is_free,
    test_a_summary_that_is_no_json_fails_the_job,
    test_what_a_killed_job_started_ends_with_it,
)
from tests.dashboard.jobs.test_integrity import flip, test_a_result_that_is_gone_is_computed_again_when_asked_for  # noqa: F401
from tests.dashboard.jobs.test_queue import (  # noqa: F401
    test_a_job_runs_in_a_process_of_its_own_and_leaves_a_result,
    test_a_job_that_waits_is_cancelled_at_once,
    test_a_running_job_is_cancelled_cooperatively_and_can_run_again_where_it_stopped,
    test_a_submission_equal_to_a_cancelled_one_runs,
    test_equal_submissions_run_once_and_the_rest_queue_with_their_position,
    test_jobs_that_ended_can_be_removed_others_not,
    test_no_more_jobs_at_once_than_there_are_slots,
    test_seconds_left_are_estimated,
    test_the_order_of_settings_does_not_matter_their_values_do,
    test_the_process_is_light_and_limited_to_its_threads,
)
from tests.dashboard.redis_parts import end, redis_queue

pytestmark = pytest.mark.slow


@pytest.fixture
def queues(farm):
    return farm.queue


@pytest.fixture
def queue(queues):
    return queues()


def test_the_job_of_a_killed_worker_goes_on_and_another_worker_takes_it_over(farm, tmp_path):
    queue = farm.queue(workers=False)
    first = farm.worker()
    finishing = queue.submit("sleep", {"seconds": 4}, label="finishes by itself")
    pid = running(queue, finishing).pid
    first.kill()
    first.wait()
    second = farm.worker()
    done = ended(queue, finishing)
    assert (done.state, done.summary["pid"], done.summary["resumed_at"]) == ("done", pid, 0)
    assert queue.result(done)
    job = queue.submit("stubborn", {}, label="hears nothing")
    pid = running(queue, job).pid
    second.kill()
    second.wait()
    farm.worker()
    queue.cancel(job.id)
    assert ended(queue, job, 30).state == "cancelled"
    until(lambda: gone(pid))
    assert ended(queue, queue.submit("quick", {}, label="after")).state == "done"
    assert not partials(tmp_path)


def test_a_job_whose_machine_is_gone_is_interrupted_and_can_run_again(farm, tmp_path):
    queue = farm.queue(workers=False, silent_s=3.0)
    worker = farm.worker()
    job = queue.submit("sleep", {"seconds": 2}, label="sleep")
    pid = running(queue, job).pid
    waiting = queue.submit("quick", {}, label="waits meanwhile")
    worker.kill()  # the worker first: it would say that the process was killed
    worker.wait()
    os.kill(pid, signal.SIGKILL)
    interrupted = ended(queue, job, VOUCHED_S + 30)
    assert (interrupted.state, interrupted.error) == ("interrupted", GONE)
    assert queue.job(waiting.id).position == 1
    assert not partials(tmp_path)
    farm.worker()
    done = ended(queue, queue.run_again(job.id))
    assert (done.state, done.summary["resumed_at"] > 0) == ("done", True)
    assert ended(queue, waiting).state == "done"


def test_a_cancelled_job_that_nobody_can_end_does_not_stay_for_ever(farm, tmp_path):
    queue = farm.queue(workers=False, silent_s=2.0)
    worker = farm.worker()
    job = queue.submit("stubborn", {}, label="hears nothing")
    process = psutil.Process(running(queue, job).pid)
    child = psutil.Process(int((tmp_path / "jobs" / job.id / "work" / "child.txt").read_text()))
    worker.kill()
    worker.wait()
    try:
        queue.cancel(job.id)
        assert ended(queue, job, VOUCHED_S + 30).state == "cancelled"
    finally:
        process.kill()
        child.kill()


def test_a_job_that_lives_is_not_taken_for_gone_though_no_worker_follows_it(farm):
    queue = farm.queue(workers=False, silent_s=3.0)
    worker = farm.worker()
    job = queue.submit("sleep", {"seconds": VOUCHED_S + 6}, label="long")
    running(queue, job)
    worker.kill()
    worker.wait()
    assert ended(queue, job, 90).state == "done"


def test_a_worker_that_is_stopped_interrupts_its_job_and_leaves_no_process(farm, tmp_path):
    queue = farm.queue(workers=False)
    worker = farm.worker()
    job = queue.submit("sleep", {"seconds": 600}, label="long")
    pid = running(queue, job).pid
    begin = time.monotonic()
    end(worker)
    assert time.monotonic() - begin < 15
    assert worker.returncode == 0, farm.said()
    assert gone(pid)
    interrupted = queue.job(job.id)
    assert (interrupted.state, "run it again" in interrupted.error) == ("interrupted", True)
    assert not partials(tmp_path)
    farm.worker()
    running(queue, queue.run_again(job.id))


def test_a_server_that_starts_again_sees_the_jobs_and_they_outlive_it(farm):
    queue = farm.queue()
    done = ended(queue, queue.submit("quick", {"n": 1}, label="done before"))
    job = queue.submit("sleep", {"seconds": 600}, label="long")
    pid = running(queue, job).pid
    waiting = queue.submit("quick", {"n": 2}, label="waits")
    queue.close()
    later = farm.queue()
    assert [(one.id, one.state, one.position) for one in later.jobs()] == [
        (job.id, "running", 0), (waiting.id, "queued", 1), (done.id, "done", 0),
    ]  # fmt: skip
    assert later.job(job.id).pid == pid
    assert (later.result(later.job(done.id)) / "deep" / "answer.txt").read_text() == "1"
    later.cancel(job.id)
    assert ended(later, job).state == "cancelled"
    assert ended(later, waiting).state == "done"


def test_two_servers_and_two_workers_run_equal_jobs_once(farm):
    one, other = farm.queue(processors=3), farm.queue(processors=3)
    found, lock = [], threading.Lock()

    def submit(queue, n):
        job = queue.submit("quick", {"n": n}, label=str(n))
        with lock:
            found.append(job.id)

    threads = [threading.Thread(target=submit, args=(queue, n)) for n in range(8) for queue in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(set(found))) == (16, 8)
    for job_id in set(found):
        until(lambda job_id=job_id: one.job(job_id).state == "done")
        assert sum("started" in line for line in other.log(job_id)) == 1


def test_calls_that_rq_loses_are_made_up_for_and_too_many_do_no_harm(farm, redis_server):
    queue = farm.queue(workers=False)
    jobs = [queue.submit("quick", {"n": n}, label=str(n)) for n in range(3)]
    until(lambda: redis_server.client().llen("rq:queue:detour") == 3)
    for key in redis_server.client().keys("rq:*"):
        redis_server.client().delete(key)
    farm.worker()
    for job in jobs:
        assert ended(queue, job).state == "done"
    job = queue.submit("quick", {"n": 4}, label="4")
    queue.cancel(job.id)
    assert ended(queue, queue.submit("quick", {"n": 5}, label="5")).state == "done"
    assert queue.job(job.id).state == "cancelled"


def test_nothing_that_a_browser_sent_reaches_rq_and_no_password_a_command_line(farm, redis_server):
    queue = farm.queue(workers=False)
    queue.submit("quick", {"secret": "browser"}, label="browser")
    client = redis_server.client()
    calls = until(lambda: client.lrange("rq:queue:detour", 0, -1))
    for call in calls:
        stored = connect(redis_server.url, as_text=False).hgetall(f"rq:job:{call}")
        assert b"browser" not in b"".join(stored.values())
        name, instance, args, kwargs = json.loads(zlib.decompress(stored[b"data"]))
        assert (name, instance, args, kwargs) == ("dashboard.services.jobs.redis_runner.run_next", None, [], {})
    farm.worker()
    job = queue.submit("sleep", {"seconds": 600}, label="sleep")
    command = " ".join(psutil.Process(running(queue, job).pid).cmdline())
    assert "redis://" not in command


def test_a_job_outlives_a_redis_server_that_is_started_again(farm, redis_server):
    queue = farm.queue()
    job = queue.submit("sleep", {"seconds": 6}, label="long")
    pid = running(queue, job).pid
    redis_server.stop()
    with pytest.raises(EngineError, match="Redis server cannot be used"):
        queue.job(job.id)
    assert queue.jobs() == []
    time.sleep(1)
    redis_server.start()
    done = ended(queue, job)
    assert (done.state, done.summary["pid"], done.summary["resumed_at"]) == ("done", pid, 0)
    assert ended(queue, queue.submit("quick", {}, label="after"), 90).state == "done", farm.said()


def test_a_redis_server_that_forgets_gets_its_list_from_the_results(farm, redis_server):
    queue = farm.queue()
    done = ended(queue, queue.submit("quick", {"n": 1}, label="Keeps its label"))
    spoilt = ended(queue, queue.submit("quick", {"n": 2}, label="spoilt"))
    flip(queue.result(spoilt) / "deep" / "answer.txt")
    job = queue.submit("sleep", {"seconds": 5}, label="runs")
    pid = running(queue, job).pid
    redis_server.client().flushall()
    states = {one.id: one.state for one in queue.jobs()}
    assert states == {done.id: "done", spoilt.id: "interrupted", job.id: "interrupted"}
    found = queue.job(done.id)
    assert (found.label, found.settings, found.summary) == ("Keeps its label", {"n": 1}, done.summary)
    assert (queue.result(found) / "deep" / "answer.txt").read_text() == "1"
    until(lambda: gone(pid))
    again = ended(queue, queue.run_again(job.id), 90)
    assert (again.state, again.summary["resumed_at"] > 0) == ("done", True)


def test_a_damaged_result_is_set_aside_and_computed_again(queue, tmp_path):
    job = ended(queue, queue.submit("quick", {"n": 12}, label="quick"))
    flip(queue.result(job) / "deep" / "answer.txt")
    with pytest.raises(EngineError, match=r"its result was damaged .*run it again"):
        queue.result(job)
    assert queue.job(job.id).state == "interrupted"
    assert len(list((tmp_path / "jobs" / job.id).glob("damaged-*"))) == 1
    again = ended(queue, queue.run_again(job.id))
    assert (queue.result(again) / "deep" / "answer.txt").read_text() == "12"


def test_another_data_directory_is_refused(farm, redis_server, tmp_path):
    farm.queue(workers=False)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(EngineError, match=r"another data directory than .*other\. Give the --data-dir that all"):
        redis_queue(other, redis_server.url)
    assert not list((other / "jobs").iterdir())


def test_a_server_says_what_is_wrong_with_its_redis(tmp_path, redis_server, monkeypatch):
    with pytest.raises(EngineError, match=r"redis://127\.0\.0\.1:1/0 cannot be used .*start it, or give another"):
        Services.create(Settings(data_dir=tmp_path, redis="redis://:secret@127.0.0.1:1/0"), kinds=KINDS)
    for wrong in ("http://127.0.0.1", "127.0.0.1:6379", "redis://host:port/0", "redis://127.0.0.1/x?db=y"):
        with pytest.raises(EngineError, match=r"--redis: expected a URL such as|cannot be used"):
            Services.create(Settings(data_dir=tmp_path, redis=wrong), kinds=KINDS)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(EngineError, match=r'pip install "rq>=3,<4"'):
        Services.create(Settings(data_dir=tmp_path, redis=redis_server.url), kinds=KINDS)


def test_passwords_are_not_shown(redis_server):
    assert shown("redis://me:secret@host:1/2?password=secret") == "redis://host:1/2"
    with pytest.raises(InvalidInputError) as caught:
        connect("http://me:secret@host/")
    assert "secret" not in str(caught.value)


def test_silence_while_redis_is_away_does_not_count(farm, redis_server, monkeypatch):
    monkeypatch.setattr(redis_keeper, "LOOK_S", 0.1)
    queue = farm.queue(workers=False, silent_s=3.0)
    worker = farm.worker()
    job = queue.submit("sleep", {"seconds": 20}, label="long")
    running(queue, job)
    redis_server.stop()
    time.sleep(VOUCHED_S + 2)
    redis_server.start()
    assert ended(queue, job, 90).state == "done", (farm.said(), worker.poll())


QUERY = "?model=lenet5-digits&attack=fgsm&epsilon=0.2&pairs=20&where=after&top=0.2"


def test_the_documented_command_runs_a_study_that_the_application_asked_for(redis_server, tmp_path):
    services = Services.create(Settings(data_dir=tmp_path, datasets_dir=tmp_path, redis=redis_server.url))
    command = ["-m", "dashboard.services.jobs.redis_worker", "--data-dir", str(tmp_path), "--datasets-dir"]
    worker = subprocess.Popen(
        [sys.executable, *command, str(tmp_path), "--threads", "1"],
        cwd=ROOT, env=os.environ | {"DETOUR_REDIS": redis_server.url}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert worker.stderr.readline() == f"This worker runs jobs of {redis_server.url}; Ctrl-C stops it.\n"
        threading.Thread(target=worker.stderr.read, daemon=True).start()
        job = services.sensitivity.submit(services.select(QUERY))
        done = ended(services.jobs, job, 90)
        assert done.state == "done", services.jobs.log(job.id)
        assert done.summary["images"] > 0
        assert (services.jobs.result(done) / "report.json").is_file()
    finally:
        services.jobs.close()
        end(worker)
    assert worker.returncode == 0


@pytest.mark.parametrize("how", ["option", "environment"])
def test_the_option_of_the_application_reaches_its_settings(monkeypatch, tmp_path, how):
    import app

    found = []

    def create_app(settings):
        found.append(settings)
        raise EngineError("That is enough.")

    monkeypatch.setattr("dashboard.serving.create_app", create_app)
    monkeypatch.setattr(app.signal, "signal", lambda *_: None)
    monkeypatch.setattr(app.subprocess, "Popen", lambda *_, **__: SimpleNamespace(terminate=int, wait=int))
    given = ["--redis", "redis://x"] if how == "option" else []
    result = CliRunner().invoke(
        app.main, ["--data-dir", str(tmp_path), *given], env={} if given else {"DETOUR_REDIS": "redis://x"}
    )
    assert "That is enough." in result.output
    assert [settings.redis for settings in found] == ["redis://x"]


def test_a_worker_says_in_one_sentence_why_it_does_not_start(redis_server, tmp_path):
    result = CliRunner().invoke(main, ["--redis", "redis://127.0.0.1:1/0", "--data-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert "Error: The Redis server at redis://127.0.0.1:1/0 cannot be used" in result.output
