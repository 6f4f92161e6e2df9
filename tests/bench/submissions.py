"""Studies that are asked for through the page: one that keeps the server busy, and many at the same moment."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from dashboard.services.jobs import transitions
from dashboard.services.jobs.job import Job
from dashboard.services.jobs.table import JobTable
from tests.bench.recording import MODEL, UPDATE, Request

TIMEOUT_S = 60
# So many images that a study outlasts whatever is measured beside it.
LONG_IMAGES = 300


@dataclass(frozen=True)
class Submitted:
    """What many submissions at the same moment came to.

    Attributes:
        equal: the different jobs that equal submissions got.
        different: the different jobs that the others got.
        positions: of the jobs that waited, in the order of their places.
        refused: what was said where no job was given.
        slowest: seconds of the slowest answer.
        cancelled: how many jobs were cancelled afterwards.
        seconds_to_cancel: from the first order to cancel until none waited or ran.
    """

    equal: int
    different: int
    positions: list[int]
    refused: list[str]
    slowest: float
    cancelled: int
    seconds_to_cancel: float


class Desk:
    """Submits and cancels as the pages do, and reads the list of jobs."""

    def __init__(self, address: str, home: Path, fit: Request) -> None:
        self._address = address
        self._fit = json.loads(fit.body or b"")
        self._jobs = JobTable(home / "jobs")

    def jobs(self) -> list[Job]:
        """All jobs."""
        return self._jobs.read(transitions.all_jobs, [])

    def submit(self, seed: int, images: int = LONG_IMAGES) -> str:
        """Presses the button of the Detect page; the job's id.

        Raises:
            RuntimeError: with what the page says, if it gives no job.
        """
        search = f"?model={MODEL}&images={images}&seed={seed}"
        state = [one | {"value": search} if one["property"] == "data" else one for one in self._fit["state"]]
        status, text = self._post(self._fit | {"state": state})
        found = re.search(r'"job": ?"([0-9a-f]{32})"', text)
        if status != 200 or not found:
            raise RuntimeError(f"{status} {text[:300]}")
        return found[1]

    def cancel(self, job_id: str) -> None:
        """Presses a job's button."""
        output = self._output_of_orders()
        name, _, prop = output.rpartition(".")
        order = {"id": "jobs-order", "property": "data", "value": {"do": "cancel", "job": job_id}}
        body = {"output": output, "outputs": {"id": name, "property": prop}, "inputs": [order], "state": []}
        status, text = self._post(body | {"changedPropIds": ["jobs-order.data"]})
        if status != 200:
            raise RuntimeError(f"{status} {text[:300]}")

    def cancel_all(self) -> tuple[int, float]:
        """Cancels what waits or runs, the last first; how many these were, and seconds until none was left."""
        active, begin = [job.id for job in self.jobs() if not job.has_ended], time.monotonic()
        for job_id in reversed(active):
            self.cancel(job_id)
        while any(not job.has_ended for job in self.jobs()):
            if time.monotonic() - begin > TIMEOUT_S:
                raise RuntimeError("some jobs were asked to stop and did not")
            time.sleep(0.1)
        return len(active), time.monotonic() - begin

    def _output_of_orders(self) -> str:
        listed = json.loads(self._ask("GET", "/_dash-dependencies")[1])
        return next(
            one["output"] for one in listed if [i["id"] for i in one["inputs"]] == ["jobs-order"] and one["output"]
        )

    def _post(self, body: dict) -> tuple[int, str]:
        return self._ask("POST", UPDATE, json.dumps(body))

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        connection = HTTPConnection(urlsplit(self._address).netloc, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, body=body, headers={"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()


def submit_at_once(desk: Desk, equal: int = 20, different: int = 20) -> Submitted:
    """Submits equal and different studies at the same moment, looks at the queue, and cancels them all."""
    seeds = [5000] * equal + [6000 + number for number in range(different)]
    found: list[str | None] = [None] * len(seeds)
    refused: list[str] = []
    seconds: list[float] = []
    together = threading.Barrier(len(seeds))

    def press(place: int) -> None:
        together.wait()
        begin = time.perf_counter()
        try:
            found[place] = desk.submit(seeds[place])
        except (RuntimeError, OSError) as error:
            refused.append(str(error))
        seconds.append(time.perf_counter() - begin)

    _all_at_once([threading.Thread(target=press, args=(place,)) for place in range(len(seeds))])
    positions = sorted(job.position for job in desk.jobs() if job.state == "queued")
    cancelled, took = desk.cancel_all()
    first, second = ({one for one in part if one} for part in (found[:equal], found[equal:]))
    return Submitted(len(first), len(second), positions, refused, max(seconds), cancelled, took)


def _all_at_once(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Busy:
    """While entered, a study runs on the server; when one ends another begins."""

    def __init__(self, desk: Desk, first_seed: int, images: int = LONG_IMAGES) -> None:
        self.studies = 0
        self._desk, self._seed, self._images = desk, first_seed, images
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Busy:
        self._thread.start()
        deadline = time.monotonic() + TIMEOUT_S
        while not any(job.state == "running" and job.fraction > 0 for job in self._desk.jobs()):
            if time.monotonic() > deadline:
                raise RuntimeError("no study began")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._desk.cancel_all()

    def _run(self) -> None:
        while not self._ended.wait(0.5):
            if all(job.has_ended for job in self._desk.jobs()):
                self._desk.submit(self._seed + self.studies, self._images)
                self.studies += 1
