"""A detector is fitted, watched, judged and put to use, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.pages import drawn, serious_problems, settled
from tests.conftest import running_app

# A study takes its time: left to CI.
pytestmark = [pytest.mark.browser, pytest.mark.slow]
MODEL = "model=lenet5-digits"


@pytest.fixture(scope="module")
def site(chromium, tmp_path_factory):
    """An app with a home of its own: what is fitted here is seen nowhere else."""
    with running_app(tmp_path_factory.mktemp("detect-home")) as server:
        yield server.address


def fit(page, images):
    """Fills in the number of images and presses the button."""
    page.get_by_label("Images", exact=True).fill(str(images))
    page.keyboard.press("Tab")
    expect(page).to_have_url(re.compile(f"images={images}"))
    page.get_by_role("button", name="Fit detectors").click()
    expect(page).to_have_url(re.compile("study=[0-9a-f]{32}"))


def test_a_person_fits_a_detector_and_follows_what_it_missed(visit, site):
    page = visit(f"{site}/detect?{MODEL}")
    expect(page.locator("#detect-chosen")).to_have_text("FGSM, BIM or DeepFool")
    page.get_by_label("BIM", exact=True).uncheck()
    expect(page.locator("#detect-chosen")).to_have_text("FGSM or DeepFool")
    page.get_by_label("CDRP").check()
    expect(page).to_have_url(re.compile("baselines=cdrp"))
    page.get_by_label("CDRP").uncheck()
    expect(page).not_to_have_url(re.compile("cdrp"))
    fit(page, 80)
    expect(page.locator("#job-tray-count")).to_have_text("1 job")
    page.reload()
    expect(page.locator("#detect-chosen")).to_have_text("FGSM or DeepFool")
    expect(page.locator("#detect-status")).to_contain_text("Detection of FGSM, DeepFool")
    page.click("#job-tray-open")
    expect(page.locator("#job-tray").get_by_role("progressbar")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#notices")).to_contain_text("Done: Detection", timeout=120_000)
    expect(page.locator("#job-tray-count")).to_have_text("No jobs")

    expect(page.locator("#detect-summary")).to_contain_text("Joint similarity")
    expect(page.locator("#detect-summary")).to_contain_text("An attack that knows the detector")
    drawn(page)
    expect(page.locator("#detect-roc-graph")).to_contain_text("AUC")

    page.get_by_label("Attack", exact=True).select_option("DeepFool")
    expect(page).to_have_url(re.compile("against=DeepFool"))
    before = page.locator("#detect-confusion").inner_text()
    page.locator("#detect-threshold").scroll_into_view_if_needed()
    box = page.locator("#detect-threshold").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2, steps=6)
    page.mouse.up()
    expect(page).to_have_url(re.compile("threshold="))
    expect(page.locator("#detect-confusion")).not_to_have_text(before)
    drawn(page)
    shared = page.url

    missed = page.locator("#detect-missed a.is-missed").first
    number = re.search(r"\d+", missed.get_attribute("title"))[0]
    missed.click()
    expect(page.locator("#inspect-number")).to_have_value(number)
    settled(page)
    expect(page.locator("#inspect-attack")).to_have_value("deepfool")
    expect(page.locator("#inspect-judged")).to_contain_text("Joint similarity calls the attacked image")
    expect(page.locator("#inspect-judged")).to_contain_text("passes unnoticed on")
    expect(page.locator("#inspect-detector-card-graph .bars path").first).to_be_attached()

    page.go_back()
    expect(page).to_have_url(shared)
    expect(page.locator("#detect-confusion")).not_to_be_empty()


def test_a_second_study_is_cancelled_and_says_so(visit, site):
    page = visit(f"{site}/detect?{MODEL}&baselines=attention")
    fit(page, 700)
    page.click("#job-tray-open")
    page.locator("#job-tray").get_by_role("button", name=re.compile("Cancel")).click()
    page.keyboard.press("Escape")
    expect(page.locator("#detect-status")).to_contain_text("This study was cancelled")
    page.locator("#detect-status").get_by_role("link", name="Jobs").click()
    expect(page).to_have_url(re.compile(r"/jobs\?job="))
    expect(page.locator("#jobs-table")).to_contain_text("cancelled")


def test_a_wrong_form_says_what_is_wrong_and_starts_nothing(visit, site):
    page = visit(f"{site}/detect?{MODEL}")
    page.get_by_label("Images", exact=True).fill("3")
    page.keyboard.press("Tab")
    expect(page.locator("#detect-errors")).to_contain_text("from 20 to 10000")
    page.get_by_role("button", name="Fit detectors").click()
    expect(page.locator("#detect-fit-note")).to_contain_text("images")
    expect(page).not_to_have_url(re.compile("study="))


@pytest.mark.parametrize("width", [1440, 768, 400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_accessible_and_fits(visit, site, width, theme):
    page = visit(f"{site}/detect?{MODEL}", color_scheme=theme, bypass_csp=True)
    page.set_viewport_size({"width": width, "height": 900})
    fit(page, 40)
    expect(page.locator("#detect-results")).to_be_visible(timeout=120_000)
    expect(page.locator("#detect-summary")).to_contain_text("An attack that knows")
    page.locator("summary", has_text="Attacks, detectors").first.click()
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not serious_problems(page)
