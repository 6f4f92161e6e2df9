"""The faults of care.md, injected while the production server runs; what is damaged without it is in jobs/."""

import os
import signal
import time

import pytest

from tests.dashboard.faults import Browser, left_over, served, submitting
from tests.dashboard.jobs.conftest import ended, gone, running, until
from tests.dashboard.jobs.test_integrity import flip, garble


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def browser(home):
    with served(home) as opened:
        yield opened


@pytest.fixture
def queue(home, monkeypatch):
    return submitting(home, monkeypatch)


@pytest.fixture
def alive(browser):
    """After a fault: the same process, an answer within a second, nothing half-written."""
    yield
    browser.unharmed()


def submit(queue, kind, label, **settings):
    return queue.submit(kind, settings, label=label)


@pytest.mark.usefixtures("alive")
def test_a_killed_job_is_failed_within_five_seconds_and_the_next_runs(browser, queue):
    job = submit(queue, "sleep", "to be killed", seconds=600)
    after = submit(queue, "quick", "after", n=1)
    os.kill(running(queue, job).pid, signal.SIGKILL)
    until(lambda: browser.state(job) == "failed", 5)
    assert "killed (signal 9)" in browser.told(job)
    until(lambda: browser.state(after) == "done")


@pytest.mark.parametrize(
    ("kind", "settings", "sentence"),
    [
        ("fail", {"how": "disk"}, "disk full: make room on the disk"),
        ("fail", {"how": "memory"}, "out of memory: reduce the number of images"),
        ("hungry", {}, "out of memory: reduce the number of images"),
        ("fail", {"how": "unexpected"}, "The job failed; its log has the details."),
    ],
    ids=["disk full", "memory error", "memory limit", "unexpected"],
)
@pytest.mark.usefixtures("alive")
def test_a_job_that_fails_says_why_and_earlier_results_stay(browser, queue, kind, settings, sentence):
    old = ended(queue, submit(queue, "quick", "old", n=2))
    failing = submit(queue, kind, f"fails {settings}", **settings)
    until(lambda: browser.state(failing) == "failed")
    told = browser.told(failing)
    assert sentence in told
    assert "secret" not in told
    assert "done" in browser.opened("/jobs", f"?job={old.id}")
    assert (queue.result(old) / "deep" / "answer.txt").read_text() == "2"


@pytest.mark.usefixtures("alive")
def test_a_damaged_result_is_told_set_aside_and_computed_again(browser, queue, home):
    job = ended(queue, submit(queue, "quick", "damaged", n=3))
    flip(home / "jobs" / job.id / "result" / "deep" / "answer.txt")
    assert "has another checksum) and set aside, run it again" in browser.opened("/jobs", f"?job={job.id}")
    assert browser.state(job) == "interrupted"
    assert list((home / "jobs" / job.id).glob("damaged-*"))
    assert browser.order("again", job.id)[0] == 200
    until(lambda: browser.state(job) == "done")
    assert "set aside, run it again" not in browser.opened("/jobs", f"?job={job.id}")


@pytest.mark.usefixtures("alive")
def test_a_list_of_garbage_is_moved_aside_and_results_are_listed_again(browser, queue, home):
    done = ended(queue, submit(queue, "quick", "Stays listed", n=4))
    until(lambda: not any(job.state == "running" for job in queue.jobs()))
    garble(home / "jobs" / "jobs.sqlite")
    assert browser.state(done) == "done"
    assert len(list((home / "jobs").glob("jobs.sqlite.damaged-*"))) == 1
    assert "is damaged" in (home / "server.log").read_text()
    until(lambda: browser.state(submit(queue, "quick", "new", n=5)) == "done")


@pytest.mark.parametrize("do", ["cancel", "again", "remove"])
@pytest.mark.usefixtures("alive")
def test_an_order_for_an_unknown_job_is_404_with_a_sentence(browser, do):
    for name in ("0" * 32, '../../x"><img onerror=alert(1)>'):
        status, sentence = browser.order(do, name)
        assert status == 404
        assert sentence.startswith("There is no job")


@pytest.mark.usefixtures("alive")
def test_a_running_job_is_cancelled_and_its_process_ends(browser, queue):
    job = submit(queue, "sleep", "to be cancelled", seconds=601)
    pid = running(queue, job).pid
    assert browser.order("cancel", job.id)[0] == 200
    until(lambda: browser.state(job) == "cancelled", 10)
    until(lambda: gone(pid), 10)


@pytest.mark.slow
@pytest.mark.parametrize("survives", [True, False], ids=["the job lives on", "the job dies too"])
def test_after_kill_9_of_the_server_the_next_one_follows_or_interrupts(tmp_path, monkeypatch, survives):
    queue = submitting(tmp_path, monkeypatch)
    with served(tmp_path) as first:
        job = submit(queue, "sleep", "long", seconds=600 if survives else 2)
        pid = running(queue, job).pid
        first.server.process.kill()
        first.server.process.wait()
    if not survives:
        os.kill(pid, signal.SIGKILL)
        until(lambda: gone(pid))
    with served(tmp_path) as second:
        if survives:
            assert browser_follows(second, queue, job, pid)
        else:
            assert second.state(job) == "interrupted"
            assert "run it again" in second.told(job)
            assert second.order("again", job.id)[0] == 200
            until(lambda: second.state(job) == "done")
        second.unharmed()


def browser_follows(browser: Browser, queue, job, pid):
    """A job of a server that is gone runs on under its number, and ends when it is cancelled."""
    assert browser.state(job) == "running"
    assert queue.job(job.id).pid == pid
    browser.order("cancel", job.id)
    until(lambda: browser.state(job) == "cancelled", 15)
    return until(lambda: gone(pid), 10)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["kill", "Ctrl-C"])
def test_a_stopped_server_leaves_no_process_after_ten_seconds(tmp_path, monkeypatch, number):
    queue = submitting(tmp_path, monkeypatch)
    with served(tmp_path, processors=3) as browser:
        jobs = [submit(queue, "stubborn", "hears nothing"), submit(queue, "sleep", "sleeps", seconds=600)]
        pids = [running(queue, job).pid for job in jobs]
        pids.append(int((tmp_path / "jobs" / jobs[0].id / "work" / "child.txt").read_text()))
        begin = time.monotonic()
        browser.server.process.send_signal(number)
        time.sleep(1)
        for _ in range(3):  # impatience does no harm
            browser.server.process.send_signal(number)
            time.sleep(0.2)
        browser.server.process.wait(10)
        assert time.monotonic() - begin < 10
    assert all(gone(pid) for pid in pids)
    assert {queue.job(job.id).state for job in jobs} == {"interrupted"}
    assert "Traceback" not in (tmp_path / "server.log").read_text()
    assert not left_over(tmp_path)


@pytest.mark.slow
def test_two_servers_on_one_directory_work_without_loss(tmp_path, monkeypatch):
    queue = submitting(tmp_path, monkeypatch)
    (tmp_path / "other").mkdir()
    with served(tmp_path) as first, served(tmp_path) as second:
        long = submit(queue, "sleep", "long", seconds=600)
        running(queue, long)
        jobs = [submit(queue, "quick", f"number {n}", n=n) for n in range(5)]
        assert "1 running, 5 waiting" in words_of_page(first) == words_of_page(second)
        assert second.order("cancel", long.id)[0] == 200
        for browser in (first, second):
            until(lambda browser=browser: {browser.state(job) for job in jobs} == {"done"})
            browser.unharmed()
        for job in jobs:
            assert sum("started" in line for line in queue.log(job.id)) == 1
            assert queue.result(queue.job(job.id))


def words_of_page(browser):
    return browser.looked()["jobs-counts"]["children"]
