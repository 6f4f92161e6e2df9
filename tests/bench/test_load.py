"""The pieces of the load script work; how fast the server is, is no test's business."""

import argparse
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import pytest

from tests.bench.endurance import Sample, fill, summary
from tests.bench.load import lines, measure
from tests.bench.people import CONNECTIONS, Line, Walker
from tests.bench.recording import Recording, Request, Step


class Handler(BaseHTTPRequestHandler):
    """Notes the paths it is asked for; /slow takes a while, /bad fails, and /gone hangs up."""

    protocol_version = "HTTP/1.1"
    heard: list
    at_once = 0
    most = 0
    connections: set
    lock = threading.Lock()

    def do_GET(self):
        with Handler.lock:
            Handler.connections.add(self.client_address)
            Handler.at_once += 1
            Handler.most = max(Handler.most, Handler.at_once)
        if self.path.startswith("/slow"):
            time.sleep(0.1)
        with Handler.lock:
            Handler.at_once -= 1
            Handler.heard.append(self.path)
        if self.path == "/gone":
            self.close_connection = True
            return
        body = b'{"a-retry": {"disabled": false}}' if self.path == "/pending" else b"{}"
        self.send_response(500 if self.path == "/bad" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    Handler.heard, Handler.connections, Handler.most = [], set(), 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def line(address):
    made = Line(address)
    yield made
    made.close()


def get(path, *after):
    return Request("GET", path, path, after=after)


def test_requests_wait_for_those_before_them_and_the_others_go_together(line):
    answers = line.exchange([get("/slow/0"), get("/1"), get("/2", 0), get("/3", 2)])
    assert [one.kind for one in answers] == ["/slow/0", "/1", "/2", "/3"]
    assert Handler.heard == ["/1", "/slow/0", "/2", "/3"]
    assert answers[0].seconds > 0.09
    assert [one.status for one in answers] == [200] * 4


def test_a_line_has_as_many_connections_as_a_browser_and_keeps_them(line):
    for _ in range(3):
        line.exchange([get(f"/slow/{number}") for number in range(2 * CONNECTIONS)])
    assert Handler.most == CONNECTIONS
    assert len(Handler.connections) == CONNECTIONS


def test_what_fails_is_an_answer_too(line):
    bad, gone, fine, pending = line.exchange([get("/bad"), get("/gone"), get("/fine", 0, 1), get("/pending")])
    assert bad.status == 500
    assert bad.problem
    assert gone.status == 0
    assert "Disconnected" in gone.problem
    assert (fine.status, fine.problem, fine.unfinished) == (200, "", False)
    assert pending.unfinished
    nowhere = Line("http://127.0.0.1:9").exchange([get("/"), get("/after", 0)])
    assert [one.status for one in nowhere] == [0, 0]


def test_a_person_walks_in_order_and_the_open_page_polls(line):
    steps = tuple(Step(str(n), (get(f"/{n}"),), (get(f"/poll/{n}"),)) for n in range(3))
    recording = Recording(steps[0], steps, quiet_s=0.05, busy_s=0.05, fit=get("/fit"))
    walker = Walker(recording, 0.05, random.Random(1))
    for _ in range(4):
        walker.click(line)
    clicked = [int(path[1:]) for path in Handler.heard]
    assert all(after == (before + 1) % 3 for before, after in pairwise(clicked))
    polled = walker.think(line, 0.3)
    assert 3 <= len(polled) <= 7
    assert {one.kind for one in polled} == {f"/poll/{clicked[-1]}"}


def test_samples_and_the_filled_cache(tmp_path):
    fill(tmp_path, 5)
    assert sum(file.stat().st_size for file in tmp_path.rglob("*.npz")) == 4 * 2**20
    told = summary([Sample(0, 1, 100, 30, 0), Sample(60, 3, 150, 40, 1), Sample(120, 2, 120, 31, 0)])
    assert told["cache_mb"] == {"first": 1, "worst": 3, "last": 2}
    assert told["descriptors"] == {"first": 30, "worst": 40, "last": 31}


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(900)
def test_a_few_people_for_a_few_seconds(tmp_path):
    arguments = argparse.Namespace(people=3, seconds=5, cache_mb=50, with_job=True, hours=0.004)
    report = measure(tmp_path, arguments)
    told = "\n".join(lines(report))
    assert report["server_lives"]
    for crowd in report["crowds"].values():
        assert crowd["answers"] > 20
        assert crowd["errors"] == 0, crowd["problems"]
        assert crowd["not_cached"] == 0
    assert {"no job", "a study runs"} == set(report["crowds"])
    found = report["submissions"]
    assert (found["equal"], found["different"], found["refused"]) == (1, 20, [])
    assert found["positions"] == list(range(1, len(found["positions"]) + 1))
    assert len(found["positions"]) >= 15
    assert found["cancelled"] == 21
    assert report["endurance"]["errors"] == 0, report["endurance"]["problems"]
    assert report["endurance"]["samples"]
    assert "at positions 1 to n" in told
    assert "resident_mb" in told
