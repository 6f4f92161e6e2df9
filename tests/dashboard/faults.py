"""A server whose faults are injected, and its pages as a browser reads them."""

import http.client
import json
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlparse

from dashboard.services.jobs.kinds import MODULE as REAL_KINDS
from dashboard.services.jobs.queue import JobQueue
from dashboard.services.jobs.supervisor import Supervisor
from dashboard.settings import Settings
from tests.conftest import ROOT, Server, running_server
from tests.dashboard.jobs.conftest import KINDS, until

__all__ = ["KINDS", "REAL_KINDS", "Browser", "served", "submitting"]


@contextmanager
def served(home, *, kinds=KINDS, processors=2, prefix=(), **environment):
    """The production server over a data directory, with kinds of job that tests have; gives a :class:`Browser`."""
    command = [*prefix, sys.executable, "-u", "-m", "tests.dashboard.served", str(home), kinds, str(processors)]
    with running_server(home, command, PYTHONPATH=str(ROOT), **environment) as server:
        yield Browser(server)


def submitting(home, monkeypatch, kinds=KINDS):
    """A queue of this process that starts no job: it submits, as another server would, and looks."""
    with monkeypatch.context() as patched:
        patched.setattr(Supervisor, "start", lambda self: None)
        return JobQueue.embedded(Settings(data_dir=home), kinds=kinds)


@dataclass(frozen=True)
class Browser:
    """Asks a server for its pages; no answer may hold a traceback."""

    server: Server

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(urlparse(self.server.address).netloc, timeout=30)
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            connection.request(method, path, body=body and json.dumps(body), headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        assert "Traceback" not in text
        return answer.status, text

    def update(self, outputs, inputs, state=()):
        """The status and the answer of a callback."""
        names = [f"{name}.{prop}" for name, prop in outputs]
        body = {
            "output": f"..{'...'.join(names)}.." if len(names) > 1 else names[0],
            "outputs": [{"id": name, "property": prop} for name, prop in outputs],
            "inputs": [{"id": name, "property": prop, "value": value} for name, prop, value in inputs],
            "state": [{"id": name, "property": prop, "value": value} for name, prop, value in state],
            "changedPropIds": [f"{inputs[0][0]}.{inputs[0][1]}"],
        }
        if len(outputs) == 1:
            body["outputs"] = body["outputs"][0]
        status, text = self.ask("POST", "/_dash-update-component", body)
        return status, json.loads(text) if text else {}

    def opened(self, path, search=""):
        """The words of a page that is laid out."""
        status, answer = self.update(
            [("_pages_content", "children"), ("_pages_store", "data")],
            [("_pages_location", "pathname", path), ("_pages_location", "search", search)],
            [("shown-selection", "data", None)],
        )
        assert status == 200, answer
        return words(answer["response"]["_pages_content"])

    def looked(self, job_id=None):
        """What the Jobs page shows, read again while it is open."""
        names = [("jobs-counts", "children"), ("jobs-table", "children"), ("jobs-about", "children")]
        names += [("jobs-log", "children"), ("jobs-known", "data")]
        search = f"?job={job_id}" if job_id else ""
        status, answer = self.update(
            names, [("jobs-tick", "data", 1)], [("jobs-selection", "data", search), ("jobs-known", "data", None)]
        )
        assert status == 200, answer
        return answer["response"]

    def state(self, job):
        """The word for a job's state in the table."""
        row = find(self.looked(), f"jobs-row-{job.id}")
        return words(row["props"]["children"][0])

    def told(self, job):
        """What the details of a job say."""
        return words(self.looked(job.id)["jobs-about"])

    def order(self, do, job_id):
        """Presses a job's button; the status, and the sentence of a refusal."""
        _, text = self.ask("GET", "/_dash-dependencies")
        one = next(one for one in json.loads(text) if one["inputs"] and one["inputs"][0]["id"] == "jobs-order")
        output = one["output"].rsplit(".", 1)
        status, answer = self.update([output], [("jobs-order", "data", {"do": do, "job": job_id})])
        return status, answer.get("error")

    def unharmed(self):
        """The same process answers within a second, and nothing half-written is left."""
        begin = time.monotonic()
        assert self.ask("GET", "/healthz")[0] == 200
        assert time.monotonic() - begin < 1
        assert self.server.process.poll() is None
        until(lambda: not left_over(self.server.home), 20)


def left_over(home):
    """Half-written files."""
    return [path for path in home.rglob("*") if "partial" in path.name or path.name in ("half.txt", "begun.txt")]


def words(part):
    """The text in a part of a page."""
    if isinstance(part, str):
        return part
    if isinstance(part, list):
        return " ".join(text for text in map(words, part) if text)
    if isinstance(part, dict):
        return words(part["props"].get("children") if "props" in part else part.get("children"))
    return ""


def find(part, name):
    """The component of that id."""
    if isinstance(part, list):
        return next((found for found in (find(one, name) for one in part) if found), None)
    if isinstance(part, dict):
        if part.get("props", {}).get("id") == name:
            return part
        return find(list(part.values()), name)
    return None
