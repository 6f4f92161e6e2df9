"""What all pages have in common in a browser: when they are drawn, and whether everybody can use them."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect


def drawn(page):
    """Waits until every figure that is shown is drawn and nothing is under way."""
    expect(page.locator(".figure-place.is-waiting:visible")).to_have_count(0, timeout=60_000)
    expect(page.locator("[data-dash-is-loading=true]")).to_have_count(0)


def settled(page):
    """Waits until the verdict on Inspect stands and every figure is drawn."""
    expect(page.locator("#inspect-verdict")).not_to_be_empty()
    expect(page.locator("#inspect-verdict")).not_to_contain_text("Computing")
    drawn(page)


def serious_problems(page):
    """What axe-core finds serious or critical; the page must have been opened with ``bypass_csp``."""
    violations = Axe().run(page).response["violations"]
    for _ in range(10):  # what is being redrawn is faded for a moment; only the finished page is judged
        if 'data-dash-is-loading="true"' not in str(violations):
            break
        page.wait_for_timeout(1000)
        drawn(page)
        violations = Axe().run(page).response["violations"]
    serious = [one for one in violations if one["impact"] in ("serious", "critical")]
    return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in serious]
