"""The tray of jobs and the Jobs page in a real browser, with kinds of job that tests have."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.pages import serious_problems
from tests.dashboard.faults import served, submitting
from tests.dashboard.jobs.conftest import running

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("jobs-home")


@pytest.fixture(scope="module")
def site(chromium, home):
    with served(home) as browser:
        yield browser.server.address


@pytest.fixture
def queue(home, monkeypatch):
    """A queue to submit to; afterwards nothing waits or runs."""
    opened = submitting(home, monkeypatch)
    yield opened
    for job in opened.jobs():
        opened.cancel(job.id)


def job_of(queue, seconds, label):
    return queue.submit("sleep", {"seconds": seconds}, label=label)


def focused(page):
    return page.evaluate("document.activeElement.id")


def test_a_job_is_watched_and_cancelled_in_the_tray_of_any_page(visit, site, queue):
    job, other = job_of(queue, 600, "A long one"), job_of(queue, 601, "Another")
    page = visit(f"{site}/classes?model=lenet5-digits")
    button = page.locator("#job-tray-open")
    expect(button).to_have_text("2 jobs")
    button.press("Enter")
    tray = page.locator("#job-tray")
    expect(tray).to_contain_text("next in the queue")
    expect(tray.get_by_role("progressbar")).to_have_attribute("aria-label", "A long one")
    running(queue, job)
    cancel = tray.get_by_role("button", name="Cancel: Another")
    cancel.focus()
    shown = tray.inner_text()
    expect(tray).not_to_have_text(shown)  # it was drawn again
    assert other.id in focused(page), "the focus stays on its button"
    cancel.press("Enter")
    expect(button).to_have_text("1 job")
    expect(tray).to_contain_text("cancelled")
    page.keyboard.press("Escape")
    expect(tray).to_have_count(0)
    assert focused(page) == "job-tray-open"


def test_the_focus_stays_with_its_job_when_one_above_it_goes(visit, site, queue):
    first, second, third = (job_of(queue, 606 + n, f"Job {n}") for n in range(3))
    for path in ("/jobs", "/classes?model=lenet5-digits"):
        page = visit(site + path)
        place = page.locator("#jobs-table")
        if path != "/jobs":
            page.click("#job-tray-open")
            place = page.locator("#job-tray")
        place.get_by_role("button", name=re.compile("Cancel.*Job 2")).focus()
        gone = first if path == "/jobs" else second
        queue.cancel(gone.id)
        expect(place).not_to_contain_text("number 2 in the queue" if gone is first else "next in the queue")
        page.wait_for_timeout(500)
        assert third.id in focused(page)
        page.close()


def test_a_job_that_ends_is_told_once_with_a_link(visit, site, queue):
    page = visit(f"{site}/classes?model=lenet5-digits")
    expect(page.locator("#classes-errors")).to_be_attached()
    job = job_of(queue, 8, "A short one")  # long enough for a page that busy processors keep waiting
    expect(page.locator("#job-tray-open")).to_have_text("1 job")
    notice = page.locator("#notices .alert")
    expect(notice).to_contain_text("Done: A short one")
    assert notice.count() == 1
    notice.get_by_role("button", name="See the job").click()
    expect(page).to_have_url(re.compile(f"/jobs.*job={job.id}"))
    expect(page.locator("#jobs-about")).to_contain_text("A short one")
    expect(notice).to_have_count(0)
    page.wait_for_timeout(3000)
    assert notice.count() == 0


def test_the_jobs_page_follows_the_address_and_the_jobs(visit, site, queue):
    job, other = job_of(queue, 602, "First of two"), job_of(queue, 603, "Second of two")
    page = visit(f"{site}/jobs")
    expect(page.locator("#jobs-counts")).to_contain_text("1 running, 1 waiting")
    page.get_by_role("link", name="Second of two").click()
    expect(page.locator("#jobs-about h2")).to_have_text("Second of two")
    page.get_by_role("link", name="First of two").click()
    expect(page.locator("#jobs-about h2")).to_have_text("First of two")
    expect(page.locator("#jobs-log")).to_contain_text("started First of two")
    page.go_back()
    expect(page.locator("#jobs-about h2")).to_have_text("Second of two")
    expect(page.locator("#jobs-errors")).to_be_empty()
    page.reload()
    expect(page.locator("#jobs-about h2")).to_have_text("Second of two")
    page.locator(f"#jobs-row-{other.id}").get_by_role("button", name="Cancel").click()
    expect(page.locator("#jobs-about")).to_contain_text("cancelled")
    page.locator(f"#jobs-row-{other.id}").get_by_role("button", name="Run again").click()
    expect(page.locator("#jobs-about")).to_contain_text("next in the queue")
    page.locator(f"#jobs-row-{other.id}").get_by_role("button", name="Cancel").click()
    page.once("dialog", lambda dialog: dialog.accept())
    page.locator(f"#jobs-row-{other.id}").get_by_role("button", name="Remove").click()
    expect(page.locator(f"#jobs-row-{other.id}")).to_have_count(0)
    expect(page).not_to_have_url(re.compile("job="))
    expect(page.locator("#jobs-details")).to_be_hidden()
    expect(page.locator(f"#jobs-row-{job.id}")).to_contain_text("running")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 768, 400])
def test_no_serious_accessibility_violation_and_nothing_sticks_out(visit, site, queue, width, theme):
    job = job_of(queue, 604, "A job with a name so long that it does not fit on one line of a narrow screen, whatever")
    queue.submit("fail", {"how": "engine"}, label="Fails")
    job_of(queue, 605, "Waits")
    running(queue, job)
    page = visit(f"{site}/jobs?job={job.id}", color_scheme=theme, bypass_csp=True)
    page.set_viewport_size({"width": width, "height": 900})
    expect(page.locator("#jobs-about h2")).to_contain_text("A job with a name")
    for opened in (False, True):
        if opened:
            page.click("#job-tray-open")
            expect(page.locator("#job-tray")).to_contain_text("All jobs")
            page.wait_for_timeout(700)  # it slides in
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not serious_problems(page)
