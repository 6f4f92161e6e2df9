"""What only a browser can show of the controls: focus, marks, numbers that follow, and how a wait looks."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.pages import drawn, settled

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_focus_stays_on_a_chosen_thumbnail(visit):
    page = visit("/")
    settled(page)
    page.locator("[title='Test image 5']").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("image=test%3A5"))
    settled(page)
    thumb = page.locator("[title='Test image 5']")
    expect(thumb).to_be_focused()
    expect(thumb).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[title='Test image 0']")).to_have_attribute("aria-pressed", "false")


def test_the_focus_comes_back_after_a_new_layout(visit):
    page = visit("/")
    settled(page)
    page.locator("#inspect-attack").focus()
    page.select_option("#inspect-attack", "fgsm")
    expect(page).to_have_url(re.compile("attack=fgsm"))
    settled(page)
    expect(page.locator("#inspect-attack")).to_be_focused()


def test_every_thumbnail_can_be_seen(visit):
    for width in (1440, 768):
        page = visit("/?image=test:31")
        page.set_viewport_size({"width": width, "height": 900})
        settled(page)
        right = page.locator(".strip").evaluate("strip => strip.getBoundingClientRect().right")
        thumbs = page.locator(".strip button")
        expect(thumbs).to_have_count(16)
        assert thumbs.last.evaluate("thumb => thumb.getBoundingClientRect().right") <= right


def test_the_place_for_files_is_one_stop_of_the_tab_key(visit):
    page = visit("/")
    settled(page)
    stops = page.locator(".upload-place").evaluate(
        "place => [...place.querySelectorAll('*')].filter(e => e.tabIndex >= 0 && e.checkVisibility()).length"
    )
    assert stops == 1


def test_sliders_show_their_number(visit):
    page = visit("/")
    settled(page)
    expect(page.locator("#inspect-edges-number")).to_have_text("200")
    page.locator("#inspect-edges").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#inspect-edges-number")).to_have_text("210")


def test_a_wrong_field_is_red_and_said_to_be_invalid(visit):
    page = visit("/?theta=abc&image=test:3")
    field = page.locator("#inspect-theta")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_css("border-bottom-color", "rgb(220, 53, 69)")
    page.click("text=Leave out what is wrong")
    expect(page).to_have_url(re.compile(r"\?image=test%3A3$"))
    settled(page)
    expect(page.locator("#inspect-theta")).not_to_have_attribute("aria-invalid", "true")


def test_waiting_dims_figures_and_says_so_in_words(visit):
    page = visit("/")
    settled(page)
    page.route(re.compile("_dash-update-component"), lambda route: None)  # no answer comes
    page.locator("[title='Test image 2']").click()
    page.wait_for_timeout(1800)
    seen = page.evaluate(
        """() => {
          const place = document.querySelector("#inspect-density-place");
          let opacity = 1;
          for (let e = place.parentElement; e; e = e.parentElement) opacity *= Number(getComputedStyle(e).opacity);
          const words = getComputedStyle(place, "::after");
          return { opacity, words: words.content, shown: words.opacity };
        }"""
    )
    assert seen["opacity"] == 1
    assert "Computing" in seen["words"]
    assert float(seen["shown"]) > 0.9


def test_a_click_on_the_matrix_chooses_its_two_classes(visit):
    page = visit("/classes")
    expect(page.locator("#classes-pair-numbers")).to_contain_text("similarity", timeout=60_000)
    cells = page.locator("#classes-matrix-graph .nsewdrag").first.bounding_box()
    place = cells["x"] + cells["width"] * 0.75, cells["y"] + cells["height"] * 0.25  # column 7, row 2 of ten
    page.mouse.move(*place)
    expect(page.locator("#classes-matrix-graph .hoverlayer .hovertext")).to_contain_text("2 and 7")
    page.mouse.click(*place)
    expect(page.locator("#classes-pair-numbers")).to_contain_text("2 and 7")
    expect(page.locator("#classes-first")).to_have_value("2")
    expect(page.locator("#classes-second")).to_have_value("7")
    assert "pair=2-7" in page.url


def test_the_lists_of_classes_show_the_pair_and_one_change_is_enough(visit):
    page = visit("/classes")
    expect(page.locator("#classes-pair-numbers")).to_contain_text("similarity", timeout=60_000)
    drawn(page)
    shown = page.locator("#classes-pair-numbers dd").first.inner_text().split(" and ")
    expect(page.locator("#classes-first")).to_have_value(shown[0])
    expect(page.locator("#classes-second")).to_have_value(shown[1])
    assert "pair=" not in page.url
    other = next(name for name in "0123456789" if name not in shown)
    page.select_option("#classes-first", other)
    expect(page).to_have_url(re.compile(f"pair={other}-{shown[1]}"))
    expect(page.locator("#classes-pair-numbers")).to_contain_text(f"{other} and {shown[1]}")
    page.select_option("#classes-first", shown[1])
    expect(page.locator("#classes-pair-note")).to_have_text("Choose two different classes.")
    expect(page).to_have_url(re.compile(f"pair={other}-{shown[1]}"))


def test_an_address_that_is_no_page_leads_back(visit):
    page = visit("/nosuchpage")
    expect(page.locator("h1")).to_have_text("There is no such page")
    page.click("text=Go to Inspect")
    settled(page)


def test_the_note_about_a_copied_link_goes_away(visit):
    page = visit("/")
    settled(page)
    page.click("#copy-link")
    expect(page.locator("#copy-link-note")).to_have_text("Link copied")
    expect(page.locator("#copy-link-note")).to_be_empty(timeout=8000)
