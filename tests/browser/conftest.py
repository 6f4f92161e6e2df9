"""The app as a person starts it, and a browser that reports what it should not do."""

from urllib.parse import urlparse

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.conftest import find_chromium, running_app

# A first start compiles the kernels; what is slow on a busy machine is not wrong.
expect.set_options(timeout=30_000)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="session")
def chromium():
    executable = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def address(chromium, tmp_path_factory):
    """The address of an app with a home of its own."""
    with running_app(tmp_path_factory.mktemp("app-home")) as server:
        yield server.address


@pytest.fixture
def visit(chromium, address):
    """Opens pages; afterwards there must be no console error and no request to another machine."""
    errors, elsewhere, contexts = [], [], []

    def follow(page):
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))

    def note(request):
        host = urlparse(request.url).hostname
        if urlparse(request.url).scheme.startswith("http") and host != "127.0.0.1":
            elsewhere.append(request.url)

    def open_page(path="/", **settings):
        context = chromium.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True, **settings)
        context.set_default_timeout(20_000)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.on("request", note)
        contexts.append(context)
        page = context.new_page()
        follow(page)
        page.goto(path if path.startswith("http") else address + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
    assert elsewhere == []
