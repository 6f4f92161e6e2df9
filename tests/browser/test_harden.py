"""A model is hardened, watched, compared and inspected, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.pages import drawn, serious_problems, settled
from tests.conftest import running_app

# Training takes its time: left to CI.
pytestmark = [pytest.mark.browser, pytest.mark.slow]
MODEL = "model=lenet5-digits"
#: Time for a job to begin and to end, on a busy machine.
LONG = 180_000


@pytest.fixture(scope="module")
def site(chromium, tmp_path_factory):
    """An app with a home of its own: the models that are made here are seen nowhere else."""
    with running_app(tmp_path_factory.mktemp("harden-home")) as server:
        yield server.address


def fill(page, label, value):
    """Types into a field of the form and leaves it."""
    page.get_by_label(label, exact=True).fill(str(value))
    page.keyboard.press("Tab")


def harden(page, epochs, images):
    """Fills in the form and presses the button."""
    fill(page, "Epochs", epochs)
    expect(page).to_have_url(re.compile(f"epochs={epochs}"))
    fill(page, "Training images", images)
    expect(page).to_have_url(re.compile(f"trained={images}"))
    fill(page, "Steps", 1)
    expect(page).to_have_url(re.compile("with.steps=1"))
    page.get_by_role("button", name="Harden").click()
    expect(page).to_have_url(re.compile("harden=[0-9a-f]{32}"))


def hardened(page):
    """Waits until the new model is there."""
    expect(page.locator("#harden-trained")).to_contain_text("was trained for", timeout=LONG)
    drawn(page)


def test_a_person_hardens_a_model_compares_it_and_inspects_an_image_with_it(visit, site):
    page = visit(f"{site}/harden?{MODEL}")
    expect(page.locator("#harden-estimate")).to_contain_text("measured on a few batches", timeout=60_000)
    harden(page, 6, 600)
    expect(page.locator("#harden-form")).not_to_have_attribute("open", "")
    expect(page.locator("#harden-status")).to_contain_text("LeNet-5")
    expect(page.locator("#harden-accuracy-graph .scatterlayer .trace")).to_have_count(3, timeout=LONG)
    page.reload()  # in the middle of it
    hardened(page)
    expect(page.locator("#harden-loss-graph .scatterlayer .trace").first.locator(".point")).to_have_count(6)
    expect(page.locator("#harden-own")).to_contain_text("PAT")
    assert page.locator("#harden-trained").bounding_box()["y"] < 900

    expect(page.get_by_role("checkbox")).to_be_checked()  # the new model is what it is compared with
    fill(page, "Test images", 20)
    page.get_by_role("button", name="Compare").click()
    expect(page).to_have_url(re.compile("comparison=[0-9a-f]{32}"))
    expect(page.locator("#harden-compared")).to_contain_text("Robustness", timeout=LONG)
    drawn(page)
    answer = page.locator("#harden-compared").bounding_box()
    assert answer["y"] + answer["height"] <= 900  # at a glance
    expect(page.locator("#harden-table")).to_contain_text("PGD L∞ 0.1")
    expect(page).not_to_have_url(re.compile("layer="))  # what the page chose is not written down
    page.get_by_label("Layer", exact=True).select_option("conv1")
    expect(page).to_have_url(re.compile("layer=conv1"))
    expect(page.locator("#harden-units-graph")).to_contain_text("units of conv1")
    shared = page.url
    page.reload()
    expect(page.locator("#harden-compared")).to_contain_text("Robustness")
    expect(page).to_have_url(shared)
    expect(page.get_by_label("Layer", exact=True)).to_have_value("conv1")

    page.get_by_role("link", name="Inspect an image with it").click()
    expect(page).to_have_url(re.compile("model=lenet5-digits-pat-"))
    settled(page)
    page.go_back()
    expect(page).to_have_url(shared)
    hardened(page)

    page.get_by_role("link", name="Its class paths over training").click()
    page.get_by_role("button", name="Follow the training").click()
    expect(page).to_have_url(re.compile("phases=[0-9a-f]{32}"))
    expect(page.locator("#classes-phases-words")).to_contain_text("From epoch 1 to 6", timeout=LONG)
    expect(page.get_by_role("button", name="Follow the training")).to_be_hidden()
    fill(page, "Images a checkpoint", 50)
    expect(page).to_have_url(re.compile("phased=50"))
    page.get_by_role("button", name="Follow the training").click()
    expect(page.locator("#classes-phases-words")).to_contain_text("50 training images", timeout=LONG)


def test_a_hardening_is_stopped_kept_and_its_model_removed(visit, site):
    page = visit(f"{site}/harden?{MODEL}&seed=5")
    harden(page, 300, 1000)
    expect(page.locator("#harden-accuracy-graph .scatterlayer .trace")).to_have_count(3, timeout=LONG)
    page.locator("#job-tray-open").click()
    page.get_by_role("button", name=re.compile("^Cancel")).click()
    page.keyboard.press("Escape")
    expect(page.locator("#harden-status")).to_contain_text(
        re.compile(r"stopped after epoch \d+ of 300"), timeout=60_000
    )
    page.get_by_role("button", name="Keep it as a model").click()
    expect(page.locator("#harden-kept-note")).to_contain_text("It is kept as")
    row = page.locator("#harden-own tr", has_text=re.compile(r"epoch \d+"))
    expect(row).to_have_count(1)
    row.get_by_role("button").click()
    expect(page.get_by_role("dialog")).to_contain_text("cannot be undone")
    page.get_by_role("button", name="Remove it").click()
    expect(row).to_have_count(0)
    expect(page.locator("#harden-own-note")).to_contain_text("was removed")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#harden-status")).to_contain_text("of 300, batch", timeout=LONG)
    page.locator("#job-tray-open").click()
    page.get_by_role("button", name=re.compile("^Cancel")).click()
    expect(page.locator("#harden-status")).to_contain_text("stopped after epoch", timeout=60_000)


def test_another_method_has_other_settings_and_a_wrong_value_is_said_without_loss(visit, site):
    page = visit(f"{site}/harden?{MODEL}&epochs=3&with.steps=2")
    expect(page.get_by_label("Steps", exact=True)).to_have_value("2")
    page.get_by_label("Method", exact=True).select_option("sns")
    expect(page).to_have_url(re.compile("way=sns"))
    expect(page).not_to_have_url(re.compile("with"))  # they were PAT's
    expect(page.get_by_label("Weight of the stability λ")).to_have_value("")
    expect(page.get_by_label("Epochs", exact=True)).to_have_value("3")
    fill(page, "Epochs", "many")
    expect(page.locator("#harden-errors")).to_contain_text("epochs: expected a whole number")
    expect(page.get_by_label("Epochs", exact=True)).to_have_value("many")
    page.get_by_role("button", name="Harden").click()
    expect(page.locator("#harden-note")).to_contain_text("epochs")
    expect(page).not_to_have_url(re.compile("harden="))
    fill(page, "Epochs", "")
    expect(page).not_to_have_url(re.compile("epochs="))
    usual = page.get_by_label("Epochs", exact=True).get_attribute("placeholder")
    page.get_by_label("First weights").select_option("scratch")
    expect(page).to_have_url(re.compile("start=scratch"))
    expect(page.get_by_label("Epochs", exact=True)).not_to_have_attribute("placeholder", usual)  # laid out anew
    page.get_by_label("First weights").select_option(label="usual: parent")
    expect(page).not_to_have_url(re.compile("start="))


@pytest.mark.parametrize("width", [1440, 768, 400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_accessible_and_fits(visit, site, width, theme):
    page = visit(f"{site}/harden?{MODEL}", color_scheme=theme, bypass_csp=True)
    page.set_viewport_size({"width": width, "height": 900})
    harden(page, 2, 60)
    hardened(page)
    fill(page, "Test images", 20)
    page.get_by_role("button", name="Compare").click()  # the same comparison every time
    expect(page.locator("#harden-compared")).to_contain_text("Robustness", timeout=LONG)
    page.locator("#harden-form summary").first.click()
    page.locator("#harden-comparison summary").first.click()
    drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not serious_problems(page)
