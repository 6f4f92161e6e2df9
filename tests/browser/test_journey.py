"""A person's way through the app, in a real browser."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.pages import drawn, serious_problems, settled

pytestmark = pytest.mark.browser


def verdict(page):
    return page.locator("#inspect-verdict").inner_text()


def choose_export(page, card, kind):
    page.locator(f"#{card}-menu button").first.click()
    with page.expect_download() as download:
        page.locator(f"#{card}-{kind}").click()
    return download.value


def test_a_person_attacks_an_image_and_shares_the_view(visit, tmp_path):
    page = visit("/")
    settled(page)
    assert "attack" in verdict(page).lower() or "→" in verdict(page)

    page.fill("#inspect-number", "7")
    page.keyboard.press("Tab")
    expect(page).to_have_url(re.compile("image=test"))
    settled(page)
    before = verdict(page)

    slider = page.locator("#inspect-epsilon-slider")
    slider.focus()
    for _ in range(5):
        slider.press("ArrowRight")
    expect(page).to_have_url(re.compile("epsilon="))
    expect(page.locator("#inspect-verdict")).not_to_have_text(before)
    settled(page)
    stronger = verdict(page)

    was = page.locator("html").get_attribute("data-bs-theme")
    page.click("#theme-switch")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "light" if was == "dark" else "dark")
    settled(page)

    page.click("#copy-link")
    link = page.evaluate("navigator.clipboard.readText()")
    again = visit(link)
    settled(again)
    assert verdict(again) == stronger
    assert again.locator("#inspect-number").input_value() == "7"
    assert again.locator("#inspect-epsilon").input_value() == page.locator("#inspect-epsilon").input_value()

    page.go_back()
    expect(page.locator("#inspect-verdict")).not_to_have_text(stronger)
    page.go_forward()
    expect(page.locator("#inspect-verdict")).to_have_text(stronger)


@pytest.mark.slow
def test_back_and_forward_faster_than_the_page_draws_end_at_the_view_of_the_address(visit):
    page = visit("/?image=test:1")
    settled(page)
    page.fill("#inspect-number", "2")
    page.keyboard.press("Tab")
    expect(page).to_have_url(re.compile("image=test%3A2"))
    settled(page)
    for pause in (30, 60, 150, 400):
        page.evaluate("pause => { history.back(); setTimeout(() => history.forward(), pause); }", pause)
        page.wait_for_timeout(pause + 100)
        settled(page)
        expect(page).to_have_url(re.compile("image=test%3A2"))
        expect(page.locator("#inspect-number")).to_have_value("2")
        expect(page.locator("[title='Test image 2']")).to_have_attribute("aria-pressed", "true")


@pytest.mark.slow
def test_every_export_is_what_it_says(visit):
    page = visit("/")
    settled(page)
    card = "inspect-probabilities"
    content = {kind: choose_export(page, card, kind).path().read_bytes() for kind in ("png", "svg", "html", "csv")}
    assert Image.open(io.BytesIO(content["png"])).size[0] > 100
    assert content["svg"].lstrip().startswith(b"<svg")
    assert b"<html" in content["html"]
    assert b'src="http' not in content["html"]
    assert len(content["csv"].decode().strip().splitlines()) > 5


@pytest.mark.slow
def test_the_adversarial_image_comes_back_with_the_same_prediction(visit, tmp_path):
    page = visit("/?image=test:3&epsilon=0.2")
    settled(page)
    assert "8-bit rounding" in page.locator("#inspect-save-note").inner_text()
    with page.expect_download() as download:
        page.click("#inspect-save-png")
    picture = tmp_path / "adversarial.png"
    download.value.save_as(picture)
    with page.expect_download() as download:
        page.click("#inspect-save-npy")
    array = np.load(download.value.path())
    assert array.shape == (1, 28, 28)
    assert np.abs(array[0] * 255 - np.asarray(Image.open(picture), dtype=float)).max() <= 0.5 + 1e-4
    fooled = re.search(r"(\d) after", verdict(page)) or re.search(r"→\s*(\d)", verdict(page))
    assert fooled, verdict(page)

    page.set_input_files("#inspect-upload input[type=file]", picture)
    expect(page).to_have_url(re.compile("image=upload"))
    settled(page)
    assert fooled[1] in page.locator("div.sentence").inner_text() + verdict(page)


@pytest.mark.slow
def test_what_is_not_an_image_is_refused_and_nothing_is_lost(visit, tmp_path):
    page = visit("/")
    settled(page)
    before = verdict(page)
    file = tmp_path / 'x" onerror="alert(1).png'
    file.write_bytes(b"II*\x00 this is no picture")
    page.set_input_files("#inspect-upload input[type=file]", file)
    expect(page.locator("#inspect-upload-note")).to_contain_text(re.compile("PNG|image", re.I))
    assert verdict(page) == before


def test_wrong_fields_of_the_address_are_named(visit):
    page = visit("/?epsilon=99&image=test:123456&rank=x")
    for field in ("epsilon", "image", "rank"):
        expect(page.locator("#inspect-errors")).to_contain_text(field)


@pytest.mark.slow
def test_the_classes_page_compares_two_classes(visit):
    page = visit("/classes")
    expect(page.locator("#classes-summary")).to_contain_text("share", timeout=60_000)
    expect(page.locator("#classes-pair-numbers")).to_contain_text("similarity")
    page.goto(page.url.split("?")[0] + "?pair=1-7")
    expect(page.locator("#classes-pair-numbers")).to_contain_text("1 and 7")
    expect(page.locator(".figure-place.is-waiting")).to_have_count(0)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 768])
@pytest.mark.parametrize("path", ["/", "/classes"])
def test_no_serious_accessibility_violation(visit, path, width, theme):
    page = visit(path, color_scheme=theme, bypass_csp=True)
    page.set_viewport_size({"width": width, "height": 900})
    drawn(page)
    assert not serious_problems(page)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 1000, 768, 400])
def test_nothing_sticks_out_sideways(visit, width):
    page = visit("/")
    page.set_viewport_size({"width": width, "height": 900})
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
