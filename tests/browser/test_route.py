"""An image's route is found, units are changed, and a study of the model is made and looked at, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.pages import drawn, serious_problems, settled
from tests.conftest import running_app

# A study takes its time: left to CI.
pytestmark = [pytest.mark.browser, pytest.mark.slow]
IMAGE = "model=lenet5-digits&image=test:3&attack=pgd_linf"


@pytest.fixture(scope="module")
def site(chromium, tmp_path_factory):
    """An app with a home of its own: what is found here is seen nowhere else."""
    with running_app(tmp_path_factory.mktemp("route-home")) as server:
        yield server.address


def find_route(page, images):
    """Fills in the numbers of images and presses the button."""
    for label in ("Images", "Images for the route"):
        page.get_by_label(label, exact=True).fill(str(images))
        page.keyboard.press("Tab")
    expect(page).to_have_url(re.compile(f"pairs={images}&routed={images}"))
    page.get_by_role("button", name="Find the route").click()
    expect(page).to_have_url(re.compile("route=[0-9a-f]{32}"))


def picked(page):
    """The units in the link, by layer."""
    found = re.search(r"picked=([^&]*)", page.url)
    parts = found[1].replace("%3A", ":").replace("%2C", ",").split(",") if found else []
    return {layer: set(units.split(".")) for layer, _, units in (part.partition(":") for part in parts)}


def test_a_person_changes_units_and_watches_the_answer(visit, site):
    page = visit(f"{site}/route?{IMAGE}")
    drawn(page)
    said = page.locator("#route-said")
    expect(said).to_contain_text("Test image 3, an 8 (1.00), becomes a 3")
    expect(page.locator("#route-pictures img")).to_have_count(3)
    expect(page.locator("#route-paths-place")).to_contain_text("Choose units")
    expect(page.get_by_role("button", name="Route of the model")).to_be_disabled()

    page.get_by_role("button", name="Route of this image").click()
    expect(page).to_have_url(re.compile("picked=conv1"))
    expect(said).to_contain_text("the route of this image")
    expect(said).to_contain_text("back into an 8")
    route = picked(page)
    drawn(page)
    expect(page.locator("#route-paths-graph .bars path").first).to_be_attached()
    expect(page.locator("#route-likeness")).to_contain_text("class path of 8", timeout=60_000)

    page.get_by_role("button", name="Random control").click()
    expect(said).not_to_contain_text("the route of this image")
    control = picked(page)
    assert {layer: len(units) for layer, units in control.items()} == {layer: len(u) for layer, u in route.items()}
    assert not any(control[layer] & route[layer] for layer in route)

    chip = page.get_by_role("button", name="conv1: 2 of 6")
    expect(chip).to_have_attribute("aria-pressed", "true")
    chip.click()
    expect(page).not_to_have_url(re.compile("conv1"))
    expect(page.get_by_role("button", name="conv1: 0 of 6")).to_be_focused()

    page.get_by_text("weaken their connections").click()
    expect(said).to_contain_text("no weights between")
    page.get_by_text("switch off").click()
    expect(page).to_have_url(re.compile("act=deactivate"))
    expect(said).to_contain_text("Switching off 4 of 16 units of conv2")
    slider = page.locator("#route-keeps input")
    slider.focus()
    for _ in range(5):
        slider.press("ArrowUp")
    expect(page).to_have_url(re.compile("factor=0.25"))
    expect(said).to_contain_text("Damping 4 of 16 units of conv2 to 25%")
    drawn(page)
    words, address = said.inner_text(), page.url
    page.reload()
    expect(said).to_have_text(words, use_inner_text=True)
    drawn(page)
    copied = visit(address)
    expect(copied.locator("#route-said")).to_have_text(words, use_inner_text=True)
    expect(copied.locator("#route-keeps-number")).to_have_text(page.locator("#route-keeps-number").inner_text())

    page.get_by_role("button", name="Clear").click()
    expect(page).not_to_have_url(re.compile("picked"))
    expect(said).to_contain_text("Choose units below")
    page.go_back()
    expect(page).to_have_url(address)
    expect(said).to_have_text(words, use_inner_text=True)


def test_a_click_on_the_map_adds_a_unit_and_another_takes_it_away(visit, site):
    page = visit(f"{site}/route?{IMAGE}")
    drawn(page)
    mark = page.locator("#route-map-graph .scatterlayer .point").nth(9)
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    place = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.click(*place)
    expect(page).to_have_url(re.compile("picked=conv2"))
    expect(page.get_by_label("Units", exact=True)).to_have_value(re.compile(r"conv2:\d+$"))
    drawn(page)
    expect(page.locator("#route-said")).to_contain_text("1 of 16 units of conv2")
    page.mouse.click(*place)
    expect(page).not_to_have_url(re.compile("picked"))


def test_the_image_is_changed_and_shown_elsewhere(visit, site):
    page = visit(f"{site}/route?{IMAGE}")
    drawn(page)
    page.get_by_role("button", name="Next image").click()
    expect(page).to_have_url(re.compile("image=test%3A4"))
    expect(page.locator("#route-said")).to_contain_text("Test image 4")
    page.get_by_role("button", name="Random image").click()
    expect(page).not_to_have_url(re.compile("image=test%3A4(&|$)"))
    page.get_by_label("Number of the test image").fill("99999")
    page.keyboard.press("Tab")
    expect(page.locator("#route-errors")).to_contain_text("the test set has the images 0 to")
    page.get_by_label("Number of the test image").fill("3")
    page.keyboard.press("Tab")
    expect(page.locator("#route-said")).to_contain_text("Test image 3")
    drawn(page)
    page.get_by_role("link", name="Inspect").click()
    expect(page.locator("#inspect-number")).to_have_value("3")
    settled(page)


def test_a_study_of_the_model_is_made_and_looked_at(visit, site):
    page = visit(f"{site}/route?{IMAGE}")
    find_route(page, 30)
    expect(page.locator("#route-status")).to_contain_text("Critical route under PGD")
    expect(page.locator("#route-results")).to_be_visible(timeout=120_000)
    expect(page.locator("#route-summary")).to_contain_text("statements about such routes")
    expect(page.locator("#route-statements li")).to_have_count(7)
    drawn(page)
    box = page.locator("#route-map-graph").bounding_box()
    assert box["y"] + box["height"] / 2 < 900, "the map is to be seen without scrolling"
    page.get_by_role("button", name="Route of the model").click()
    expect(page).to_have_url(re.compile("picked=conv1"))
    expect(page.locator("#route-map-graph")).to_contain_text("on the model’s route")
    drawn(page)
    shared = page.url
    with page.expect_download() as saved:
        page.get_by_role("button", name="Report as JSON").click()
    assert saved.value.suggested_filename == "route.json"

    hardest = page.locator("#route-hardest a").first
    number = re.search(r"\d+", hardest.get_attribute("title"))[0]
    hardest.click()
    expect(page.locator("#route-number")).to_have_value(number)
    expect(page.locator("#route-said")).to_contain_text(f"Test image {number}")
    drawn(page)
    page.go_back()
    expect(page).to_have_url(shared)
    expect(page.locator("#route-said")).to_contain_text("Test image 3")
    drawn(page)


@pytest.mark.parametrize("width", [1440, 768, 400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_accessible_and_fits(visit, site, width, theme):
    page = visit(
        f"{site}/route?{IMAGE}&picked=conv1:0.5,conv2:2.13&act=deactivate", color_scheme=theme, bypass_csp=True
    )
    page.set_viewport_size({"width": width, "height": 900})
    find_route(page, 30)
    expect(page.locator("#route-results")).to_be_visible(timeout=120_000)
    expect(page.locator("#route-statements li")).to_have_count(7)
    page.locator("summary", has_text="Settings of the study").click()
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not serious_problems(page)
