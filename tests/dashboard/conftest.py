"""An application over the digits, which need no files."""

import json

import pytest

from dashboard.application import create_app
from dashboard.services import EXTENSION
from dashboard.settings import Settings


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    return create_app(Settings(data_dir=folder, datasets_dir=folder / "none"))


@pytest.fixture(scope="session")
def services(app):
    return app.server.extensions[EXTENSION]


@pytest.fixture
def client(app):
    return app.server.test_client()


def call(client, outputs, inputs, state=(), changed=None, headers=None):
    """Sends one callback the way the browser does; returns the flask response.

    Args:
        outputs: list of (id, property).
        inputs: list of (id, property, value).
        state: list of (id, property, value).
        changed: the "id.property" that triggered it.
    """
    joined = "..".join(f"{name}.{prop}" for name, prop in outputs)
    body = {
        "output": f"..{'...'.join(f'{n}.{p}' for n, p in outputs)}.." if len(outputs) > 1 else joined,
        "outputs": [{"id": n, "property": p} for n, p in outputs],
        "inputs": [{"id": n, "property": p, "value": v} for n, p, v in inputs],
        "state": [{"id": n, "property": p, "value": v} for n, p, v in state],
        "changedPropIds": [changed or f"{inputs[0][0]}.{inputs[0][1]}"],
    }
    if len(outputs) == 1:
        body["outputs"] = body["outputs"][0]
    return client.post(
        "/_dash-update-component", data=json.dumps(body), content_type="application/json", headers=headers or {}
    )
