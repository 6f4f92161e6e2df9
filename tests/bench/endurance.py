"""Hours of clicking at what is not cached, while the size of the cache and of the server are watched."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlencode

import psutil

from tests.bench.people import THINKS_S, Answer, Line
from tests.bench.recording import MODEL, Recording, Request, Step

SAMPLE_S = 60.0
# As the browser's retry clock; a person looks at a view that is not ready at most so long.
AGAIN_S = 0.6
PATIENCE_S = 8.0
IMAGES = 297  # the digits' test images are at least as many
NEW_THETA = 0.3
# What fills the cache beforehand, so that it must make room from the first minute on.
OLD_FILE, OLD_AGE_S = 2 * 2**20, 30 * 86_400


@dataclass(frozen=True)
class Sample:
    """The server at one moment.

    Attributes:
        seconds: since the beginning.
        cache_mb: files in its cache.
        resident_mb: memory of its process.
        descriptors: its open files and connections.
        children: processes that it started and theirs.
    """

    seconds: float
    cache_mb: float
    resident_mb: float
    descriptors: int
    children: int


def sample(server: psutil.Process, cache: Path, began: float) -> Sample:
    """Measures it now."""
    size = 0
    for file in cache.rglob("*"):
        try:
            about = file.lstat()
        except OSError:  # it made room just now
            continue
        size += about.st_size if file.is_file() else 0
    return Sample(
        round(time.monotonic() - began, 1),
        size / 2**20,
        server.memory_info().rss / 2**20,
        server.num_fds(),
        len(server.children(recursive=True)),
    )


def summary(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """First, worst and last of each quantity."""
    names = [name for name in asdict(samples[0]) if name != "seconds"]
    values = {name: [getattr(one, name) for one in samples] for name in names}
    return {name: {"first": each[0], "worst": max(each), "last": each[-1]} for name, each in values.items()}


def fill(cache: Path, limit_mb: int) -> None:
    """Fills the cache to its limit with files that nobody has used for a month."""
    folder = cache / "attacks"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(limit_mb * 2**20 // OLD_FILE):
        file = folder / f"old-{number}.npz"
        file.write_bytes(bytes(OLD_FILE))
        os.utime(file, (time.time() - OLD_AGE_S,) * 2)


class Explorer:
    """One person who always looks at something new on the Inspect page."""

    def __init__(self, recording: Recording, chance: random.Random) -> None:
        self._step = next(step for step in recording.steps if step.name == "another strength")
        self._was = _search_of(self._step)
        self._chance = chance
        self._theta = 0.5

    def click(self, line: Line) -> list[Answer]:
        """Asks for a new image and strength, now and then for a new θ, until all is there or patience ends."""
        if self._chance.random() < NEW_THETA:
            self._theta = round(self._chance.uniform(0.3, 0.9), 4)
        fields = {
            "model": MODEL,
            "image": f"test:{self._chance.randrange(IMAGES)}",
            "epsilon": round(self._chance.uniform(0.01, 0.4), 4),
            "theta": self._theta,
        }
        asked = [_instead(one, self._was, "?" + urlencode(fields)) for one in self._step.requests]
        answers, end = line.exchange(asked), time.monotonic() + PATIENCE_S
        left = [one for one, answer in zip(asked, answers, strict=True) if answer.unfinished]
        while left and time.monotonic() < end:
            time.sleep(AGAIN_S)
            again = line.exchange([Request(one.method, one.path, one.kind, one.body) for one in left])
            left = [one for one, answer in zip(left, again, strict=True) if answer.unfinished]
            answers += again
        return answers


def _search_of(step: Step) -> str:
    """The page's query string in the requests of a step."""
    for request in step.requests:
        for one in json.loads(request.body or b"{}").get("inputs", ()):
            if isinstance(one, dict) and one["id"] == "inspect-selection":
                return one["value"]
    raise AssertionError(f"{step.name}: no request names the selection")


def _instead(request: Request, was: str, now: str) -> Request:
    body = (request.body or b"").replace(json.dumps(was)[1:-1].encode(), json.dumps(now)[1:-1].encode())
    return Request(request.method, request.path, request.kind, body or None, request.after)


def endure(
    address: str, recording: Recording, people: int, hours: float, server: psutil.Process, cache: Path
) -> tuple[list[Sample], list[Answer]]:
    """Lets people explore for hours; a sample a minute, or about ten where there are fewer minutes, and all answers."""
    seconds, began = 3600 * hours, time.monotonic()
    samples, met = [sample(server, cache, began)], []

    def person(number: int) -> None:
        chance, line = random.Random(number), Line(address)
        explorer, answers = Explorer(recording, chance), []
        while time.monotonic() - began < seconds:
            time.sleep(chance.uniform(*THINKS_S))
            answers += explorer.click(line)
        line.close()
        met.append(answers)

    threads = [threading.Thread(target=person, args=(number,)) for number in range(people)]
    for thread in threads:
        thread.start()
    every = min(SAMPLE_S, seconds / 10)
    while time.monotonic() - began < seconds:
        time.sleep(every)
        samples.append(sample(server, cache, began))
    for thread in threads:
        thread.join()
    assert len(met) == people, "a person's thread failed"
    return samples, [one for answers in met for one in answers]
