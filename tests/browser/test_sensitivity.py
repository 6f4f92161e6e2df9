"""The units of a model are measured, looked at and compared, in a real browser."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.pages import drawn, serious_problems
from tests.conftest import running_app

# A study takes its time: left to CI.
pytestmark = [pytest.mark.browser, pytest.mark.slow]
MODEL = "model=lenet5-digits&attack=fgsm"


@pytest.fixture(scope="module")
def site(chromium, tmp_path_factory):
    """An app with a home of its own: what is measured here is seen nowhere else."""
    with running_app(tmp_path_factory.mktemp("sensitivity-home")) as server:
        yield server.address


def measure(page, images):
    """Fills in the number of images and presses the button."""
    page.get_by_label("Images", exact=True).fill(str(images))
    page.keyboard.press("Tab")
    expect(page).to_have_url(re.compile(f"pairs={images}"))
    page.get_by_role("button", name="Measure units").click()
    expect(page).to_have_url(re.compile("sensitivity=[0-9a-f]{32}"))


def answered(page):
    """Waits for the outcome and its figures."""
    expect(page.locator("#sensitivity-summary")).to_contain_text("misleads LeNet-5", timeout=120_000)
    drawn(page)


def test_a_person_measures_units_and_looks_closely_at_one(visit, site):
    page = visit(f"{site}/sensitivity?{MODEL}")
    page.get_by_label("Strength ε", exact=True).fill("0.2")
    page.keyboard.press("Tab")
    expect(page).to_have_url(re.compile("epsilon=0.2"))
    measure(page, 40)
    expect(page.locator("#sensitivity-form")).not_to_have_attribute("open", "")
    page.reload()
    answered(page)
    expect(page.locator("#sensitivity-summary")).to_contain_text("FGSM at ε = 0.2")
    main = page.locator("#sensitivity-units-graph")
    assert main.bounding_box()["y"] + main.bounding_box()["height"] <= 900  # the answer and its figure at a glance
    expect(page).not_to_have_url(re.compile("layer=|unit="))  # what the page chose is not written down
    plain = page.url

    page.get_by_label("Layer", exact=True).select_option("conv2")
    expect(page).to_have_url(re.compile("layer=conv2"))
    expect(page.locator("#sensitivity-layer-answer")).to_contain_text("In conv2")
    expect(main).to_contain_text("units of conv2")
    drawn(page)
    layer_alone = page.url
    box = main.locator(".bars .point path").nth(3).bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page).to_have_url(re.compile(r"unit=conv2%3A\d+"))
    unit = re.search(r"unit=conv2%3A(\d+)", page.url)[1]
    expect(page.get_by_label("Unit", exact=True)).to_have_value(f"conv2:{unit}")
    expect(page.locator("#sensitivity-units-note")).to_contain_text(f"Unit {unit}: sensitivity")
    expect(page.locator("#sensitivity-region-note")).to_contain_text(f"Unit {unit} of conv2, place")
    drawn(page)
    shared = page.url

    page.reload()
    answered(page)
    expect(page).to_have_url(shared)
    expect(page.get_by_label("Unit", exact=True)).to_have_value(f"conv2:{unit}")
    other = visit(shared)
    answered(other)
    expect(other.locator("#sensitivity-region-note")).to_contain_text(f"Unit {unit} of conv2, place")
    expect(other).to_have_url(shared)

    page.get_by_label("Layer", exact=True).select_option("fc1")
    expect(page).to_have_url(re.compile("layer=fc1"))
    expect(page).not_to_have_url(re.compile("unit="))  # another layer has other units
    expect(page.locator("#sensitivity-region-message")).to_contain_text("fc1 is a linear layer")
    page.get_by_label("What is damped").select_option("all")
    expect(page.locator("#sensitivity-suppression-graph")).to_contain_text("all layers")
    for expected in (shared, layer_alone, plain):
        page.go_back()
        expect(page).to_have_url(expected)
        answered(page)
    expect(page.get_by_label("Layer", exact=True)).to_have_value("conv1")
    expect(page.locator("#sensitivity-earlier")).not_to_contain_text("Earlier")

    with page.expect_download() as download:
        page.get_by_role("button", name="Report as JSON").click()
    assert json.loads(download.value.path().read_text())["pairs"] == 40


def test_the_same_study_is_found_again_and_another_attack_starts_anew(visit, site):
    page = visit(f"{site}/sensitivity?{MODEL}")
    measure(page, 20)
    answered(page)
    page.locator("summary", has_text="Images, units").click()
    page.get_by_role("button", name="Measure units").click()
    expect(page.locator("#sensitivity-note")).to_contain_text("made before")
    page.get_by_label("Attack", exact=True).select_option("gaussian_noise")
    expect(page).to_have_url(re.compile("attack=gaussian_noise"))
    answered(page)  # the outcome stays until another is asked for
    expect(page.locator("#sensitivity-summary")).to_contain_text("FGSM")


def test_a_wrong_form_says_what_is_wrong_and_starts_nothing(visit, site):
    page = visit(f"{site}/sensitivity?{MODEL}")
    page.get_by_label("Images", exact=True).fill("3")
    page.keyboard.press("Tab")
    expect(page.locator("#sensitivity-errors")).to_contain_text("from 10 to 10000")
    page.get_by_role("button", name="Measure units").click()
    expect(page.locator("#sensitivity-note")).to_contain_text("pairs")
    expect(page).not_to_have_url(re.compile("sensitivity="))


@pytest.mark.parametrize("width", [1440, 768, 400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_accessible_and_fits(visit, site, width, theme):
    page = visit(f"{site}/sensitivity?{MODEL}", color_scheme=theme, bypass_csp=True)
    page.set_viewport_size({"width": width, "height": 900})
    measure(page, 20)
    answered(page)
    page.locator("summary", has_text="Images, units").click()
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not serious_problems(page)
