"""The tray of jobs and the Jobs page."""

import time
from dataclasses import replace

import pytest

from dashboard.application import create_app
from dashboard.components import job_parts
from dashboard.components.job_tray import RECENT, tray_view
from dashboard.pages.jobs import details
from dashboard.pages.jobs.details import log_text
from dashboard.pages.jobs.table import SHOWN_ENDED, counts, job_table
from dashboard.pages.jobs.words import plain, settings_in_words
from dashboard.services import EXTENSION
from dashboard.services.jobs.job import Job
from dashboard.settings import Settings
from engine.registry import Entry, Registry
from tests.dashboard.conftest import call, close
from tests.dashboard.jobs.conftest import KINDS, ended, running, until

TRAY = ["job-tray-count", "job-tray-open", "job-tray-said", "job-tray-list", "jobs-followed", "jobs-notices"]
PROPERTIES = ["children", "className", "children", "children", "data", "data"]
PAGE = ["jobs-counts", "jobs-table", "jobs-about", "jobs-log"]
TRAY_WORDS = ("A nap", "next in the queue", "progressbar", "Cancel: A nap", "Just ended", "Quick one")
NOW = 1_800_000_000.0
JOB = Job(
    "a" * 32, "quick", "A label", {"n": 1}, "running", 0.256, "halfway", 0, NOW - 90, NOW - 60, None, NOW, 42.0, False,
    None, 1, 1.0, None,
)  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    made = create_app(Settings(data_dir=folder, datasets_dir=folder / "none"), kinds=KINDS)
    yield made
    close(made)


@pytest.fixture
def services(app):
    return app.server.extensions[EXTENSION]


@pytest.fixture
def jobs(services):
    """The queue, emptied afterwards."""
    yield services.jobs
    for job in services.jobs.jobs():
        services.jobs.cancel(job.id)
    until(lambda: all(job.has_ended for job in services.jobs.jobs()))
    for job in services.jobs.jobs():
        services.jobs.remove(job.id)


@pytest.fixture
def client(app):
    return app.server.test_client()


def look(client, followed=None):
    """What the tray answers, None where nothing has changed."""
    outputs = list(zip(TRAY, PROPERTIES, strict=True))
    answer = call(client, outputs, [("jobs-tick", "data", 1)], [("jobs-followed", "data", followed)])
    assert answer.status_code in (200, 204), answer.text
    return answer.json["response"] if answer.status_code == 200 else None


def follow(client, search="", known=None):
    outputs = [*((name, "children") for name in PAGE), ("jobs-known", "data")]
    states = [("jobs-selection", "data", search), ("jobs-known", "data", known)]
    answer = call(client, outputs, [("jobs-tick", "data", 1)], states)
    assert answer.status_code in (200, 204), answer.text
    return answer.json["response"] if answer.status_code == 200 else None


def opened(client, search=""):
    answer = call(
        client,
        [("_pages_content", "children"), ("_pages_store", "data")],
        [("_pages_location", "pathname", "/jobs"), ("_pages_location", "search", search)],
        [("shown-selection", "data", None)],
    )
    assert answer.status_code == 200, answer.text
    return answer.text


def order(app, do, job_id):
    output = next(name for name, one in app.callback_map.items() if one["inputs"][0]["id"] == "jobs-order")
    value = {"do": do, "job": job_id} if do else job_id
    return call(app.server.test_client(), [tuple(output.rsplit(".", 1))], [("jobs-order", "data", value)])


def test_without_jobs_the_tray_is_quiet_and_the_page_says_what_jobs_are(client, jobs):
    answer = look(client)
    assert answer["job-tray-count"]["children"] == "No jobs"
    assert "is-muted" in answer["job-tray-open"]["className"]
    assert look(client, answer["jobs-followed"]["data"]) is None
    assert "There are no jobs yet. A job is work that takes minutes" in opened(client)
    assert "'href': '/detect'" in str(follow(client)["jobs-table"])


def test_the_tray_follows_a_job_and_tells_once_that_it_ended(client, jobs):
    quick = jobs.submit("quick", {"n": 11}, label="Quick one")
    job = jobs.submit("sleep", {"seconds": 600}, label="A nap")
    waiting = jobs.submit("sleep", {"seconds": 601}, label="A long sleep")
    ended(jobs, quick)
    running(jobs, job)
    answer = look(client, {"active": [quick.id], "ended": [], "drawn": ""})
    assert answer["job-tray-count"]["children"] == answer["job-tray-said"]["children"] == "2 jobs"
    assert "is-muted" not in answer["job-tray-open"]["className"]
    shown = str(answer["job-tray-list"])
    assert [word for word in TRAY_WORDS if word not in shown] == []
    (notice,) = answer["jobs-notices"]["data"]
    assert (notice["text"], notice["href"]) == ("Done: Quick one", f"/jobs?job={quick.id}")
    followed = answer["jobs-followed"]["data"]
    assert (followed["active"], followed["ended"]) == ([job.id, waiting.id], [quick.id])
    jobs.cancel(waiting.id)
    later = look(client, followed)
    assert "jobs-notices" not in later  # who cancels a job knows
    assert later["job-tray-said"]["children"] == "1 job"
    assert later["jobs-followed"]["data"]["ended"] == [waiting.id, quick.id]


def test_a_job_that_fails_is_told_with_its_reason(client, jobs):
    job = jobs.submit("fail", {"how": "engine"}, label="Wrong")
    ended(jobs, job)
    answer = look(client, {"active": [job.id], "ended": [], "drawn": ""})
    (notice,) = answer["jobs-notices"]["data"]
    assert notice["text"] == "Failed: Wrong — theta: expected a number; got 'x'."
    assert notice["color"] == "danger"


def test_the_tray_remembers_the_last_few(services, monkeypatch):
    done = [replace(JOB, id=f"{n:032x}", state="done", ended=NOW) for n in range(RECENT + 3)]
    monkeypatch.setattr(type(services.jobs), "jobs", lambda _: done)
    view = tray_view(services, {"active": [done[0].id], "ended": [job.id for job in done[1:]]})
    assert view.ended == [job.id for job in done[:RECENT]]
    assert tray_view(services, {"active": ["gone"], "ended": ["gone"]}).ended == []


def test_orders_are_done_and_the_tray_looks_again(app, client, jobs):
    job = jobs.submit("sleep", {"seconds": 602}, label="Cancelled soon")
    answer = order(app, "cancel", job.id)
    assert answer.status_code == 200
    assert answer.json["response"]["jobs-asked"]["data"]["job"] == job.id
    assert ended(jobs, job).state == "cancelled"
    assert order(app, "again", job.id).status_code == 200
    assert not jobs.job(job.id).has_ended
    refused = order(app, "remove", job.id)
    assert refused.status_code == 422
    assert "cancel it before it is removed" in refused.json["error"]
    jobs.cancel(job.id)
    ended(jobs, job)
    assert order(app, "remove", job.id).status_code == 200
    assert not services_know(app, job)


def services_know(app, job):
    return app.server.extensions[EXTENSION].choices.has_job(job.id)


@pytest.mark.parametrize("do", ["cancel", "again", "remove"])
def test_an_unknown_job_is_404_with_a_sentence(app, do):
    answer = order(app, do, "0" * 32)
    assert answer.status_code == 404
    assert answer.json["error"].startswith("There is no job")


@pytest.mark.parametrize("value", [None, [], "cancel", {"do": "__init__", "job": "a"}, {"job": "a"}])
def test_what_is_no_order_is_refused(app, value):
    answer = order(app, None, value)
    assert answer.status_code == 422
    assert "can be asked for: cancel, again, remove" in answer.json["error"]


def test_the_page_shows_the_details_and_the_log_of_the_job_in_the_address(client, jobs):
    job = ended(jobs, jobs.submit("quick", {"n": 12, "attacks": ["fgsm", "bim"]}, label="Quick one"))
    search = f"?model=lenet5-digits&job={job.id}"
    text = opened(client, search)
    for part in ("Quick one", "Settings of quick", "fgsm, bim", "took less than 1 s", "worker: done", "1 ended."):
        assert part in text
    assert '"hidden":false' in text.replace(": ", ":")
    first = follow(client, search)
    assert set(first) == {*PAGE, "jobs-known"}
    assert follow(client, search, first["jobs-known"]["data"]) is None
    assert f"model=lenet5-digits&job={job.id}" in str(first["jobs-table"])


def test_only_what_has_changed_is_drawn_again(client, jobs):
    job = ended(jobs, jobs.submit("quick", {"n": 13}, label="Quick one"))
    first = follow(client, f"?job={job.id}")
    jobs.submit("sleep", {"seconds": 603}, label="Another")
    second = follow(client, f"?job={job.id}", first["jobs-known"]["data"])
    assert "jobs-table" in second
    assert "jobs-about" not in second
    assert "jobs-log" not in second


def test_an_unknown_job_in_the_address_is_a_field_error(client, jobs):
    text = opened(client, "?job=" + "0" * 32)
    assert "job: there is no such job on this server" in text
    assert '"hidden":true' in text.replace(": ", ":")
    assert "no such job any more" in str(follow(client, "?job=" + "0" * 32))


def test_a_job_that_was_removed_elsewhere_is_told(client, jobs):
    job = ended(jobs, jobs.submit("quick", {"n": 14}, label="Removed"))
    first = follow(client, f"?job={job.id}")
    jobs.remove(job.id)
    second = follow(client, f"?job={job.id}", first["jobs-known"]["data"])
    assert second["jobs-about"]["children"] == "There is no such job any more."


def test_a_log_keeps_its_tracebacks_on_the_server(services, jobs, client):
    job = ended(jobs, jobs.submit("fail", {"how": "unexpected"}, label="Fails"))
    assert "secret" in "\n".join(jobs.log(job.id))
    text = log_text(services, job)
    assert "failed" in text
    assert "log.txt" in text
    assert "secret" not in opened(client, f"?job={job.id}")
    assert "Traceback" not in opened(client, f"?job={job.id}")


def test_a_log_that_begins_in_a_traceback_hides_its_rest(services, monkeypatch):
    lines = ["  File x", "KeyError: 'secret'", *["2026-11-21 19:00:00,000 INFO line"] * (5 * details.LOG_LINES - 2)]
    monkeypatch.setattr(type(services.jobs), "log", lambda *_: lines)
    shown = log_text(services, JOB).splitlines()
    assert len(shown) == details.LOG_LINES
    assert "secret" not in "".join(shown)
    monkeypatch.setattr(type(services.jobs), "log", lambda *_: ["a warning without a time", *lines[2:10]])
    assert "a warning" in log_text(services, JOB)


def test_a_result_is_linked_where_its_kind_shows_it(services, monkeypatch):
    kinds = Registry("kind of job")
    kinds.add(Entry("quick", "Quick", lambda: None, facts={"link": lambda job: f"/detect?study={job.id}"}))
    monkeypatch.setattr(services.jobs, "kinds", kinds)
    done = replace(JOB, state="done", ended=NOW, seconds_left=None)
    assert job_parts.result_link(kinds, JOB) is None
    assert job_parts.result_link(kinds, done) == f"/detect?study={done.id}"
    assert job_parts.result_link(kinds, replace(done, kind="of another version")) is None
    assert f"/detect?study={done.id}" in str(job_table([done], kinds, {}))
    monkeypatch.setattr(type(services.jobs), "jobs", lambda _: [done])
    (notice,) = tray_view(services, {"active": [done.id]}).notices
    assert (notice["href"], notice["link"]) == (f"/detect?study={done.id}", "Open the result")


@pytest.mark.parametrize(
    ("changes", "present", "absent"),
    [
        ({}, ["Cancel", "running", "25 %", "halfway", "about 50 s left"], ["Run again", "Remove"]),
        ({"cancelling": True}, ["stopping", "disabled=True"], ["left"]),
        ({"state": "queued", "position": 2, "started": None}, ["number 2 in the queue", "Cancel"], ["progressbar"]),
        ({"state": "failed", "error": "full", "ended": NOW}, ["failed", "full", "Run again", "Remove"], ["Cancel"]),
        ({"state": "done", "ended": NOW}, ["done", "Remove", "took 1 min 0 s"], ["Run again", "Cancel"]),
    ],
    ids=["running", "stopping", "queued", "failed", "done"],
)  # fmt: skip
def test_each_state_has_its_words_and_its_actions(services, changes, present, absent):
    text = str(job_table([replace(JOB, **changes)], services.jobs.kinds, {}))
    assert [word for word in present if word not in text] == []
    assert [word for word in absent if word in text] == []


def test_many_ended_jobs_are_counted_but_not_all_listed(services):
    many = [replace(JOB, id=f"{n:032x}", state="done", ended=NOW) for n in range(SHOWN_ENDED + 7)]
    assert counts([JOB, *many]) == f"1 running, 0 waiting, {SHOWN_ENDED + 7} ended."
    text = str(job_table([JOB, *many], services.jobs.kinds, {}))
    assert "7 older jobs are not shown" in text
    assert text.count("jobs-row-") == SHOWN_ENDED + 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "none"), (True, "yes"), (0.30000000001, "0.3"), (12345, "12,345"), (["a", 1], "a, 1"), ({}, "none"),
     ({"seed": 3, "last_layers": None}, "seed: 3; last layers: none"), ("x", "x"), ("", "none")],
)  # fmt: skip
def test_settings_are_plain_words(value, text):
    assert plain(value) == text


def test_the_settings_of_a_study_are_named_as_its_form_names_them(services):
    settings = {
        "model": "lenet5-digits", "weights": "f" * 64, "theta": 0.5, "attacks": "fgsm,bim:authors", "layers": "0",
        "detectors": "joint_similarity", "baselines": "", "attention": {"epochs": 3},
    }  # fmt: skip
    rows = dict(settings_in_words(services, replace(JOB, kind="of another version", settings=settings)))
    assert rows["model"] == services.choices.labels()["lenet5-digits"]
    assert rows["weights"] == "ffffffffffff… (checksum)"
    assert (rows["θ"], rows["Layers"], rows["baselines"], rows["attention"]) == ("0.5", "all", "none", "epochs: 3")
    assert rows["attacks"] == "FGSM; BIM, authors’ settings"
    assert rows["detectors"] == "Joint similarity"


def test_spans_of_time_are_said_in_words():
    assert [job_parts.duration(s) for s in (0.2, 59.6, 61, 3700)] == [
        "less than 1 s",
        "1 min 0 s",
        "1 min 1 s",
        "1 h 1 min",
    ]
    assert [job_parts.ago(NOW - s, NOW) for s in (5, 61, 7300, 90_000, 2e5)] == [
        "just now", "1 min ago", "2 h ago", "1 day ago", "2 days ago",
    ]  # fmt: skip
    left = [job_parts.time_left(replace(JOB, seconds_left=s)) for s in (1, 31, 61, 7300, None)]
    assert left == ["about 10 s left", "about 40 s left", "about 2 min left", "about 2.0 h left", ""]


def test_a_finished_share_is_not_rounded_up_to_done():
    assert job_parts.percent(replace(JOB, fraction=0.999)) == 99


@pytest.mark.slow
def test_reading_the_list_is_cheap(client, jobs):
    for n in range(30):
        ended(jobs, jobs.submit("quick", {"n": n}, label=f"number {n}"))
    followed = look(client)["jobs-followed"]["data"]
    begin = time.perf_counter()
    for _ in range(20):
        assert look(client, followed) is None
    assert (time.perf_counter() - begin) / 20 < 0.05
