"""Jobs that fail, are killed, or do not stop."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from engine.errors import EngineError
from tests.conftest import ROOT
from tests.dashboard.jobs.conftest import KINDS, LIGHT, ended, gone, open_queue, partials, running, until


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("memory", "out of memory: reduce the number of images or choose a smaller model"),
        ("disk", "disk full: "),
        ("disk behind another error", "disk full: "),
        ("engine", "theta: expected a number; got 'x'."),
        ("unexpected", "The job failed; its log has the details."),
        ("exit", "The job's process ended with status 3"),
    ],
)
def test_a_failed_job_says_why_and_leaves_no_half_result(queue, tmp_path, how, sentence):
    failed = ended(queue, queue.submit("fail", {"how": how}, label="fails"))
    assert failed.state == "failed"
    assert failed.error.startswith(sentence)
    assert failed.summary is None
    assert "Traceback" not in failed.error
    assert "secret" not in failed.error
    until(lambda: not partials(tmp_path), 10)
    assert not list(tmp_path.rglob("half.txt"))
    if how != "exit":
        assert "Traceback" in "\n".join(queue.log(failed.id))


def test_a_summary_that_is_no_json_fails_the_job(queue):
    failed = ended(queue, queue.submit("not-json", {}, label="nan"))
    assert (failed.state, failed.error) == ("failed", "The job failed; its log has the details.")


def test_a_failed_job_frees_its_slot_and_old_results_stay_readable(queue):
    first = ended(queue, queue.submit("quick", {"n": 1}, label="first"))
    failing = queue.submit("fail", {"how": "disk"}, label="fails")
    second = queue.submit("quick", {"n": 2}, label="second")
    assert ended(queue, second).state == "done"
    assert queue.job(failing.id).state == "failed"
    assert (queue.result(first) / "deep" / "answer.txt").read_text() == "1"
    again = queue.submit("fail", {"how": "disk"}, label="fails")
    assert (again.id, again.state) == (failing.id, "queued")


def test_a_killed_job_is_failed_within_five_seconds_and_its_slot_is_free(queue, tmp_path):
    job = queue.submit("sleep", {"seconds": 600}, label="killed")
    pid = running(queue, job).pid
    after = queue.submit("quick", {}, label="after")
    os.kill(pid, signal.SIGKILL)
    killed = ended(queue, job, 5)
    assert killed.state == "failed"
    assert "killed (signal 9)" in killed.error
    assert ended(queue, after).state == "done"
    assert not partials(tmp_path)
    assert gone(pid)


@pytest.mark.slow
def test_a_job_that_does_not_stop_is_killed_with_all_it_started(queue, tmp_path):
    job = queue.submit("stubborn", {}, label="stubborn")
    pid = running(queue, job).pid
    child = int((tmp_path / "jobs" / job.id / "work" / "child.txt").read_text())
    after = queue.submit("quick", {}, label="after")
    asked = time.monotonic()
    queue.cancel(job.id)
    assert ended(queue, job, 15).state == "cancelled"
    assert time.monotonic() - asked > 4
    until(lambda: gone(pid) and gone(child), 5)
    assert ended(queue, after).state == "done"


def test_what_a_killed_job_started_ends_with_it(queue, tmp_path):
    job = queue.submit("stubborn", {}, label="stubborn")
    pid = running(queue, job).pid
    child = int((tmp_path / "jobs" / job.id / "work" / "child.txt").read_text())
    os.kill(pid, signal.SIGKILL)
    assert ended(queue, job, 5).state == "failed"
    until(lambda: gone(child), 5)


@pytest.mark.parametrize("kind", ["sleep", "stubborn"])
@pytest.mark.slow
def test_closing_leaves_no_process_and_interrupts_the_job(queues, tmp_path, kind):
    queue = queues()
    job = queue.submit(kind, {"seconds": 600}, label="interrupted")
    pid = running(queue, job).pid
    waiting = queue.submit("quick", {}, label="waiting")
    begin = time.monotonic()
    queue.close()
    assert time.monotonic() - begin < 10
    assert gone(pid)
    interrupted = queue.job(job.id)
    assert (interrupted.state, "run it again" in interrupted.error) == ("interrupted", True)
    assert queue.job(waiting.id).state == "queued"
    assert not partials(tmp_path)
    queue.close()
    if kind == "sleep":
        later = queues()
        assert ended(later, waiting).state == "done"
        assert later.run_again(job.id).state == "queued"


def test_a_data_directory_that_cannot_be_written_is_said_on_submit(queues, tmp_path):
    (tmp_path / "jobs").write_text("in the way")
    queue = queues()
    assert queue.jobs() == []
    with pytest.raises(EngineError, match=r"cannot be used.*--data-dir"):
        queue.submit("quick", {}, label="x")


_ASK = """
import os
from dashboard.services.jobs.queue import JobQueue
from dashboard.settings import Settings
from engine.errors import EngineError
import tests.dashboard.jobs.kinds

if os.geteuid() == 0:
    os.setuid(65534)  # the administrator may write everywhere
queue = JobQueue.embedded(Settings(data_dir=Path(sys.argv[1])), kinds=sys.argv[2])
print(queue.jobs())
try:
    queue.submit("quick", {}, label="x")
except EngineError as error:
    print(error)
queue.close()
"""


@pytest.mark.parametrize("used_before", [False, True])
def test_a_read_only_data_directory_is_said_on_submit(used_before):
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        if used_before:
            queue = open_queue(home)
            queue.cancel(queue.submit("quick", {}, label="x").id)
            queue.close()
        for path in (*home.rglob("*"), home):
            path.chmod(0o555 if path.is_dir() else 0o444)
        command = [sys.executable, "-B", "-c", LIGHT + _ASK, name, KINDS]
        answer = subprocess.run(
            command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True, capture_output=True
        )
        for path in (home, *(found for found in home.rglob("*") if found.is_dir())):
            path.chmod(0o755)
        assert answer.returncode == 0, answer.stderr
        listed, sentence = answer.stdout.splitlines()
        assert listed == "[]"
        assert "cannot be used" in sentence
        assert "another --data-dir" in sentence
