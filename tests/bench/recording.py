"""What a browser asks the server for while a person clicks through the pages, taken down from a real Chromium."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.pages import drawn, settled
from tests.conftest import find_chromium

MODEL = "lenet5-digits"
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking".split()
UPDATE = "/_dash-update-component"
POLL = ["jobs-tick.data"]
STUDY_IMAGES = 40
# Nothing was asked for so long: the page stands.
STILL_S = 0.7
IDLE_S = 11
POLLS_WITHIN_S = 8


@dataclass(frozen=True)
class Request:
    """One request of a browser.

    Attributes:
        method, path, body: what is sent.
        kind: what such requests are called in a table.
        after: places in the step of those that were answered before this one was sent.
    """

    method: str
    path: str
    kind: str
    body: bytes | None = None
    after: tuple[int, ...] = ()


@dataclass(frozen=True)
class Step:
    """A click, what it asks for, and what the page asks for again and again while it then stays open."""

    name: str
    requests: tuple[Request, ...]
    polls: tuple[Request, ...]


@dataclass(frozen=True)
class Recording:
    """A walk through the pages.

    Attributes:
        arrival: opening the first page with an empty cache.
        steps: the clicks that follow; what they show has been computed.
        quiet_s, busy_s: seconds between two polls while no job is active, and while one is.
        fit: the button that submits a study; its state holds the page's query string.
    """

    arrival: Step
    steps: tuple[Step, ...]
    quiet_s: float
    busy_s: float
    fit: Request


class _Tape:
    """Notes the requests of a page that reach the server, with their times."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._sent: dict[str, dict] = {}
        self._heard = time.monotonic()
        session = page.context.new_cdp_session(page)
        session.send("Network.enable", {"maxPostDataSize": 1 << 24})
        session.on("Network.requestWillBeSent", self._send)
        session.on("Network.requestServedFromCache", lambda event: self._drop(event["requestId"]))
        session.on("Network.responseReceived", self._hear)
        session.on("Network.loadingFinished", self._end)
        session.on("Network.loadingFailed", self._end)

    def _send(self, event: dict) -> None:
        self._heard = time.monotonic()
        asked = event["request"]
        parts = urlsplit(asked["url"])
        if parts.scheme == "http":
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            about = {"method": asked["method"], "path": path, "body": asked.get("postData")}
            self._sent[event["requestId"]] = about | {"begin": event["timestamp"], "end": None}

    def _hear(self, event: dict) -> None:
        if event["response"].get("fromDiskCache"):
            self._drop(event["requestId"])

    def _drop(self, name: str) -> None:
        self._sent.pop(name, None)

    def _end(self, event: dict) -> None:
        self._heard = time.monotonic()
        if event["requestId"] in self._sent:
            self._sent[event["requestId"]]["end"] = event["timestamp"]

    def wait_still(self) -> None:
        """Waits until the page stands and asks for nothing but its polls."""
        drawn(self._page)
        deadline = time.monotonic() + 60
        while time.monotonic() - self._heard < STILL_S or any(one["end"] is None for one in self._sent.values()):
            assert time.monotonic() < deadline, "the page never comes to rest"
            self._page.wait_for_timeout(100)

    def polls(self) -> list[dict]:
        """Waits for what the page asks for by itself while nobody touches it; none where it never asks."""
        before, deadline = set(self._sent), time.monotonic() + POLLS_WITHIN_S
        while time.monotonic() < deadline:
            self._page.wait_for_timeout(100)
            if any(_is_poll(one) for name, one in self._sent.items() if name not in before):
                self._page.wait_for_timeout(500)  # all that goes with it
                break
        return [one for name, one in self._sent.items() if name not in before and _is_poll(one)]

    def take(self) -> list[dict]:
        """What was asked for since the last time."""
        taken = sorted(self._sent.values(), key=lambda one: one["begin"])
        self._sent = {}
        return taken


def record(address: str) -> Recording:
    """Fits a small study and walks through the pages twice: first everything is computed, then the walk is recorded."""
    expect.set_options(timeout=60_000)  # what is slow on a busy machine is not wrong
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        study, fit, busy_s = _fit(browser, address)
        walk = _walk(address, study)
        for _ in range(2):
            with _page(browser) as page:
                tape = _Tape(page)
                arrival, *steps = [_step(page, tape, name, act) for name, act in walk.items()]
                page.wait_for_timeout(1000 * IDLE_S)
                quiet_s = _interval(tape.take(), 5.0)
        browser.close()
    return Recording(arrival, tuple(steps), quiet_s, busy_s, fit)


@contextmanager
def _page(browser: Browser):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


def _fit(browser: Browser, address: str) -> tuple[str, Request, float]:
    """The id of a small study, what its button sends, and how often the page looks while it runs."""
    with _page(browser) as page:
        tape = _Tape(page)
        page.goto(f"{address}/detect?model={MODEL}&images={STUDY_IMAGES}")
        tape.wait_still()
        tape.take()
        page.get_by_role("button", name="Fit detectors").click()
        expect(page).to_have_url(re.compile("study=[0-9a-f]{32}"), timeout=30_000)
        expect(page.locator("#detect-results")).to_be_visible(timeout=300_000)
        taken = tape.take()
        fit = next(one for one in _requests(taken) if b'"detect-fit"' in (one.body or b""))
        return re.search("study=([0-9a-f]{32})", page.url)[1], fit, _interval(taken, 1.0)


def _walk(address: str, study: str) -> dict[str, Callable[[Page], object]]:
    def rail(name: str) -> Callable[[Page], object]:
        return lambda page: page.locator(f".detour-rail a[title={name}]").click()

    def opened(link: str) -> Callable[[Page], object]:
        return lambda page: page.goto(address + link)

    def typed(control: str, text: str) -> Callable[[Page], object]:
        return lambda page: (page.fill(control, text), page.keyboard.press("Tab"))

    return {
        "Inspect, arriving": lambda page: (page.goto(f"{address}/?model={MODEL}"), settled(page)),
        "another image": typed("#inspect-number", "7"),
        "another strength": typed("#inspect-epsilon", "0.2"),
        "another attack": lambda page: page.select_option("#inspect-attack", "bim"),
        "Classes": rail("Classes"),
        "another pair": lambda page: page.select_option("#classes-first", index=4),
        "a study's link": opened(f"/detect?model={MODEL}&images={STUDY_IMAGES}&study={study}"),
        "another attack's curve": lambda page: page.select_option("#detect-against", label="DeepFool"),
        "Jobs": rail("Jobs"),
        "a job's link": opened(f"/jobs?job={study}"),
        "back to Inspect": lambda page: (rail("Inspect")(page), settled(page)),
    }


def _step(page: Page, tape: _Tape, name: str, act: Callable[[Page], object]) -> Step:
    act(page)
    page.wait_for_timeout(300)
    tape.wait_still()
    polls = {one.kind: one for one in _requests(tape.polls())}
    requests = _requests([one for one in tape.take() if not _is_poll(one)])
    assert requests, f"{name}: the browser asked for nothing"
    return Step(name, requests, tuple(Request(p.method, p.path, p.kind, p.body) for p in polls.values()))


def _requests(taken: list[dict]) -> tuple[Request, ...]:
    def answered_before(begin: float) -> tuple[int, ...]:
        return tuple(place for place, other in enumerate(taken) if other["end"] and other["end"] < begin)

    return tuple(
        Request(one["method"], one["path"], _kind(one), _bytes(one["body"]), answered_before(one["begin"]))
        for one in taken
    )


def _bytes(body: str | None) -> bytes | None:
    return None if body is None else body.encode()


def _kind(one: dict) -> str:
    if one["method"] == "GET":
        path = urlsplit(one["path"]).path
        if path.startswith(("/_dash-component", "/assets", "/_favicon")):
            return "GET scripts, styles, icons"
        return f"GET {path}" if path.startswith("/_dash") else "GET a page"
    first = json.loads(one["body"])["output"].strip(".").split("...")[0] if one["body"] else one["path"]
    return first.split("@")[0]


def _is_poll(one: dict) -> bool:
    return (
        urlsplit(one["path"]).path == UPDATE and bool(one["body"]) and json.loads(one["body"])["changedPropIds"] == POLL
    )


def _interval(taken: list[dict], otherwise: float) -> float:
    """Seconds between two polls of the same kind."""
    begins: dict[str, list[float]] = {}
    for one in filter(_is_poll, taken):
        begins.setdefault(_kind(one), []).append(one["begin"])
    gaps = [after - before for times in begins.values() for before, after in pairwise(times)]
    return median(gaps) if gaps else otherwise
