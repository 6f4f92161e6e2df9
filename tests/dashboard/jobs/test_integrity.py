"""Results and lists that were damaged."""

import logging
import os
import sqlite3

import pytest

from dashboard.services.jobs.table import JobTable
from engine.errors import EngineError
from tests.dashboard.jobs.conftest import ended, running, until


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def truncate(file):
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize("name", ["deep/answer.txt", "summary.json", "manifest.json"])
@pytest.mark.parametrize("damage", [flip, truncate, lambda file: file.unlink()], ids=["flip", "truncate", "remove"])
def test_a_damaged_result_is_set_aside_and_computed_again(queue, tmp_path, name, damage):
    job = ended(queue, queue.submit("quick", {"n": 12}, label="quick"))
    damage(queue.result(job) / name)
    with pytest.raises(EngineError, match=r"its result was damaged .*run it again"):
        queue.result(job)
    lost = queue.job(job.id)
    assert (lost.state, lost.summary) == ("interrupted", None)
    assert "its result was damaged" in lost.error
    folder = tmp_path / "jobs" / job.id
    assert not (folder / "result").exists()
    assert len(list(folder.glob("damaged-*"))) == 1
    if name == "deep/answer.txt" and damage is flip:
        again = ended(queue, queue.submit("quick", {"n": 12}, label="quick"))
        assert (queue.result(again) / name).read_text() == "12"


def test_a_result_that_is_gone_is_computed_again_when_asked_for(queue):
    job = ended(queue, queue.submit("quick", {"n": 1}, label="quick"))
    (queue.result(job) / "manifest.json").unlink()
    assert queue.submit("quick", {"n": 1}, label="quick").state == "queued"
    done = ended(queue, job)
    assert done.state == "done"
    assert queue.result(done)


def garble(file):
    """Written over what is there: an empty file in between would be another damage."""
    with file.open("r+b") as stream:
        stream.write(b"\x07 this is no list of jobs " * 400)


def cut(file):
    os.truncate(file, 5000)


@pytest.mark.parametrize(("damage", "aside"), [(garble, 1), (cut, 1), (lambda f: f.write_bytes(b""), 0)])
@pytest.mark.parametrize("when", ["between servers", "while one runs"])
def test_a_damaged_list_is_moved_aside_and_sound_results_are_listed_again(
    queues, tmp_path, caplog, damage, aside, when
):
    queue = queues()
    done = ended(queue, queue.submit("quick", {"n": 1}, label="Keeps its label"))
    spoilt = ended(queue, queue.submit("quick", {"n": 2}, label="spoilt"))
    failed = ended(queue, queue.submit("fail", {"how": "engine"}, label="failed"))
    flip(queue.result(spoilt) / "deep" / "answer.txt")
    if when == "between servers":
        queue.close()
    until(lambda: not list((tmp_path / "jobs").glob("*-wal")))
    with caplog.at_level(logging.WARNING):
        damage(tmp_path / "jobs" / "jobs.sqlite")
        if when == "between servers":
            queue = queues()
        states = {job.id: job.state for job in queue.jobs()}
    assert states == {done.id: "done", spoilt.id: "interrupted", failed.id: "interrupted"}
    assert len(list((tmp_path / "jobs").glob("jobs.sqlite.damaged-*"))) == aside
    assert "listed anew" in caplog.text
    found = queue.job(done.id)
    assert (found.label, found.settings, found.summary) == ("Keeps its label", {"n": 1}, done.summary)
    assert (queue.result(found) / "deep" / "answer.txt").read_text() == "1"
    assert queue.submit("quick", {"n": 1}, label="again").id == done.id
    assert ended(queue, queue.submit("quick", {"n": 3}, label="new")).state == "done"


def test_a_job_that_runs_when_the_list_is_lost_stops_and_can_run_again(queue, tmp_path):
    job = queue.submit("sleep", {"seconds": 1.5}, label="sleep")
    pid = running(queue, job).pid
    garble(tmp_path / "jobs" / "jobs.sqlite")
    until(lambda: queue.job(job.id).state == "interrupted")
    done = ended(queue, queue.run_again(job.id))
    assert done.state == "done", done.error
    assert done.summary["pid"] != pid


def test_folders_that_are_no_jobs_are_left_alone(queues, tmp_path):
    strange = tmp_path / "jobs" / ("0" * 32)
    strange.mkdir(parents=True)
    (strange / "job.json").write_text('{"identity": 3')
    (tmp_path / "jobs" / "notes").mkdir()
    queue = queues()
    assert queue.jobs() == []
    assert ended(queue, queue.submit("quick", {}, label="x")).state == "done"
    assert strange.exists()


def test_a_change_is_whole_or_not_at_all(tmp_path):
    table = JobTable(tmp_path, lambda db: None)

    def fails(db):
        db.execute("INSERT INTO jobs (id, identity, kind, label, settings, state, created, queued) "
                   "VALUES ('a','b','c','d','{}','queued',1,1)")  # fmt: skip
        raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(EngineError, match=r"disk is full.*less full"):
        table.write(fails)
    assert table.read(lambda db: db.execute("SELECT count(*) FROM jobs").fetchone()[0], None) == 0
