"""People who click through the pages: each a thread that sends what a browser sent, over a browser's connections."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from urllib.parse import urlsplit

from tests.bench.recording import Recording, Request, Step

# As many as browsers open to one server.
CONNECTIONS = 6
TIMEOUT_S = 60.0
# The server hangs up on connections that nobody uses for two minutes.
FRESH_S = 60.0
THINKS_S = (0.5, 2.0)
HEALTH_EVERY_S = 0.2
GOOD = (200, 204)
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate, br", "Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        kind: of its request.
        seconds: from sending the request to having read the answer.
        status: of HTTP, or 0 where the connection failed.
        size: bytes of the body.
        unfinished: whether the page must ask again, because what it shows is being computed.
        problem: what went wrong, or "".
    """

    kind: str
    seconds: float
    status: int
    size: int
    unfinished: bool
    problem: str = ""


@dataclass
class Line:
    """The connections of one browser to the server."""

    address: str
    _idle: list[tuple[http.client.HTTPConnection, float]] = field(default_factory=list)

    def exchange(self, requests: Sequence[Request]) -> list[Answer]:
        """Sends the requests, each once those before it are answered that it waits for."""
        waiting, done, answers = dict(enumerate(requests)), set(), {}
        under_way: dict[object, tuple[int, http.client.HTTPConnection, float]] = {}
        while waiting or under_way:
            for place, request in list(waiting.items()):
                if len(under_way) < CONNECTIONS and done.issuperset(request.after):
                    del waiting[place]
                    begin = time.perf_counter()
                    try:
                        connection = self._send(request)
                        under_way[connection.sock] = (place, connection, begin)
                    except OSError as error:
                        answers[place] = _failed(request, begin, error)
                        done.add(place)
            if not under_way:
                continue  # all that could be sent has failed
            ready = wait(list(under_way), TIMEOUT_S)
            for socket in ready or list(under_way):
                place, connection, begin = under_way.pop(socket)
                answers[place] = self._receive(requests[place], connection, begin, answered=bool(ready))
                done.add(place)
        return [answers[place] for place in range(len(requests))]

    def close(self) -> None:
        """Hangs up."""
        for connection, _ in self._idle:
            connection.close()
        self._idle = []

    def _send(self, request: Request) -> http.client.HTTPConnection:
        while self._idle:
            connection, used = self._idle.pop()
            if time.monotonic() - used < FRESH_S:
                break
            connection.close()
        else:
            connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=TIMEOUT_S)
            connection.connect()
        connection.request(request.method, request.path, body=request.body, headers=_HEADERS)
        return connection

    def _receive(
        self, request: Request, connection: http.client.HTTPConnection, begin: float, *, answered: bool
    ) -> Answer:
        try:
            if not answered:
                raise TimeoutError(f"no answer within {TIMEOUT_S:g} s")
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return _failed(request, begin, error)
        seconds = time.perf_counter() - begin
        if connection.sock is not None:  # the server may have said that it closes it
            self._idle.append((connection, time.monotonic()))
        good = answer.status in GOOD
        problem = "" if good else f"{answer.status} {body[:200].decode('utf-8', 'replace')}"
        return Answer(request.kind, seconds, answer.status, len(body), asks_again(body), problem)


def asks_again(body: bytes) -> bool:
    """Whether an answer leaves a retry clock running."""
    return b'-retry":{"disabled":false}' in body.replace(b" ", b"")


def _failed(request: Request, begin: float, error: Exception) -> Answer:
    return Answer(request.kind, time.perf_counter() - begin, 0, 0, False, f"{type(error).__name__}: {error}")


class Walker:
    """One person's clicks through recorded views, in their order, beginning somewhere."""

    def __init__(self, recording: Recording, poll_s: float, chance: random.Random) -> None:
        self._steps = recording.steps
        self._at = chance.randrange(len(recording.steps))
        self._poll_s = poll_s
        self._polled = time.monotonic() + chance.uniform(0, poll_s)

    def think(self, line: Line, seconds: float) -> list[Answer]:
        """Lets the time pass; meanwhile the open page polls."""
        answers, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            due = self._polled + self._poll_s - time.monotonic()
            if due > left:
                time.sleep(left)
            else:
                time.sleep(max(0.0, due))
                self._polled = time.monotonic()
                answers += line.exchange(self._shown().polls)
        return answers

    def click(self, line: Line) -> list[Answer]:
        """The next view."""
        self._at = (self._at + 1) % len(self._steps)
        return line.exchange(self._shown().requests)

    def _shown(self) -> Step:
        return self._steps[self._at]


@dataclass(frozen=True)
class Crowd:
    """What a crowd met.

    Attributes:
        answers: all of them.
        clicks: seconds from each click until its last answer.
        healthz: seconds of each answer of /healthz meanwhile, infinite where it failed.
        seconds: how long it clicked.
        server_cpu: processor seconds the server took for it.
    """

    answers: list[Answer]
    clicks: list[float]
    healthz: list[float]
    seconds: float
    server_cpu: float


def crowd(
    address: str, recording: Recording, people: int, seconds: float, *, poll_s: float, arriving: bool, cpu: Callable
) -> Crowd:
    """Lets people click for some seconds.

    Args:
        address: of the server.
        recording: what they do.
        people: how many.
        seconds: how long.
        poll_s: seconds between two polls of an open page.
        arriving: whether each first opens a page with an empty cache; they then come one after the other.
        cpu: the processor seconds that the server has taken so far.
    """
    met: list[tuple[list[Answer], list[float]]] = []
    begin, before = time.monotonic(), cpu()

    def person(number: int) -> None:
        chance, line, answers, clicks = random.Random(number), Line(address), [], []
        walker = Walker(recording, poll_s, chance)
        time.sleep(number / people * (min(10.0, seconds / 4) if arriving else min(THINKS_S[1], seconds / 4)))
        if arriving:
            answers += line.exchange(recording.arrival.requests)
        while time.monotonic() - begin < seconds:
            answers += walker.think(line, chance.uniform(*THINKS_S))
            clicked = time.perf_counter()
            answers += walker.click(line)
            clicks.append(time.perf_counter() - clicked)
        line.close()
        met.append((answers, clicks))

    with HealthWatch(address) as watch:
        threads = [threading.Thread(target=person, args=(number,)) for number in range(people)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(met) == people, "a person's thread failed"
    answers, clicks = ([one for each in part for one in each] for part in zip(*met, strict=True))
    return Crowd(answers, clicks, watch.seconds, time.monotonic() - begin, cpu() - before)


class HealthWatch:
    """Asks for /healthz again and again, on a connection of its own."""

    def __init__(self, address: str) -> None:
        self.seconds: list[float] = []
        self._line = Line(address)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> HealthWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._line.close()

    def _run(self) -> None:
        while True:
            answer = self._line.exchange([Request("GET", "/healthz", "GET /healthz")])[0]
            self.seconds.append(answer.seconds if answer.status == 200 else float("inf"))
            if self._ended.wait(HEALTH_EVERY_S):
                return


def alone(address: str, recording: Recording, rounds: int = 3) -> list[Answer]:
    """The answers when one request at a time is asked and nobody else is there: what each costs."""
    line = Line(address)
    each = [request for step in recording.steps for request in (*step.requests, *step.polls)]
    answers = [line.exchange([Request(r.method, r.path, r.kind, r.body)])[0] for _ in range(rounds) for r in each]
    line.close()
    return answers
