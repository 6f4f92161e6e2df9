"""An application over the digits, which need no files."""

import json
import time

import pytest

from dashboard.application import create_app
from dashboard.services import EXTENSION
from dashboard.settings import Settings
from tests.dashboard.redis_parts import Farm, running_redis


def close(app):
    """Ends the thread and the processes of an application's jobs."""
    app.server.extensions[EXTENSION].jobs.close()


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    made = create_app(Settings(data_dir=folder, datasets_dir=folder / "none"))
    yield made
    close(made)


@pytest.fixture
def new_app(tmp_path):
    """Makes further applications."""
    made = []

    def make(**options):
        made.append(create_app(Settings(**{"data_dir": tmp_path, **options})))
        return made[-1]

    yield make
    for one in made:
        close(one)


@pytest.fixture(scope="session")
def services(app):
    return app.server.extensions[EXTENSION]


@pytest.fixture
def drawn_anew(services, monkeypatch):
    """No figure is kept: what it is drawn from is changed behind the services' back."""
    monkeypatch.setattr(services.drawings, "_identity", lambda search: None)


@pytest.fixture(scope="module")
def one_redis(tmp_path_factory):
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(one_redis):
    """A real Redis server that holds nothing yet."""
    one_redis.client().flushall()
    return one_redis


@pytest.fixture
def farm(tmp_path, redis_server):
    """Queues on that server, and workers."""
    made = Farm(tmp_path, redis_server)
    yield made
    made.close()


@pytest.fixture
def client(app):
    return app.server.test_client()


def call(client, outputs, inputs, state=(), changed=None, headers=None):
    """Sends one callback the way the browser does; returns the flask response.

    Args:
        outputs: list of (id, property).
        inputs: list of (id, property, value).
        state: list of (id, property, value), or of lists of such entries where a pattern matches several.
        changed: the "id.property" that triggered it.
    """
    joined = "..".join(f"{name}.{prop}" for name, prop in outputs)
    body = {
        "output": f"..{'...'.join(f'{n}.{p}' for n, p in outputs)}.." if len(outputs) > 1 else joined,
        "outputs": [{"id": n, "property": p} for n, p in outputs],
        "inputs": [{"id": n, "property": p, "value": v} for n, p, v in inputs],
        "state": [
            one if isinstance(one, list) else dict(zip(("id", "property", "value"), one, strict=True)) for one in state
        ],
        "changedPropIds": [changed or f"{inputs[0][0]}.{inputs[0][1]}"],
    }
    if len(outputs) == 1:
        body["outputs"] = body["outputs"][0]
    return client.post(
        "/_dash-update-component", data=json.dumps(body), content_type="application/json", headers=headers or {}
    )


def asked(client, part, outputs, inputs, state=(), once=False):
    """The answer of a callback with a retry clock, asked again until nothing is under way (a minute at most)."""
    outputs, inputs = [*outputs, (f"{part}-retry", "disabled")], [*inputs, (f"{part}-retry", "n_intervals", None)]
    end = time.monotonic() + 60
    while True:
        answer = call(client, outputs, inputs, state)
        assert answer.status_code == 200, answer.text[:300]
        response = answer.json["response"]
        if once or response[f"{part}-retry"]["disabled"]:
            return response
        assert time.monotonic() < end, "still under way"


def drawn(client, card, inputs):
    """The answer of a figure card's callback, once it is no longer under way."""
    outputs = [("graph", "figure"), ("message", "children"), ("place", "className"), ("working", "children")]
    return asked(client, card.part("graph"), [(card.part(part), prop) for part, prop in outputs], inputs)


def words(client, search, pin=False, once=False):
    """What the Inspect page says of an image and its attack, or of the pinned image."""
    inputs = [("inspect-selection", "data", search)]
    if pin:
        outputs = [
            ("inspect-pin-note", "children"),
            ("inspect-graph-note", "children"),
            ("inspect-pin-clear", "hidden"),
        ]
        return asked(client, "inspect-pin-note", outputs, inputs)
    names = ("verdict", "numbers", "save-note", "factor", "called")
    outputs = [(f"inspect-{name}", "children") for name in names]
    return asked(client, "inspect-verdict", outputs, [*inputs, ("inspect-paths", "data", None)], once=once)


def told_image(client, search, thumbs=()):
    """What the Inspect page says of the image itself."""
    outputs = [(f"inspect-{name}", "children") for name in ("strip", "which", "label", "seen")]
    outputs.append(("inspect-target", "options"))
    state = [[{"id": thumb, "property": "id", "value": thumb} for thumb in thumbs]]
    return asked(client, "inspect-strip", outputs, [("inspect-selection", "data", search)], state)
