"""Puts the application together."""

from __future__ import annotations

from pathlib import Path

import flask
from dash import Dash

from dashboard import frame, security
from dashboard.pages import classes, inspect, routing
from dashboard.services import EXTENSION, Services
from dashboard.settings import Settings

ASSETS = Path(__file__).resolve().parents[1] / "assets"
PAGES = (inspect, classes)


def create_app(settings: Settings) -> Dash:
    """Builds an application; several can live in one process.

    Raises:
        EngineError: if an own model named in ``settings`` cannot be used.
    """
    services = Services.create(settings)
    server = flask.Flask("detour")
    server.extensions[EXTENSION] = services
    app = Dash(
        "detour",
        server=server,
        use_pages=True,
        pages_folder="",
        assets_folder=str(ASSETS),
        serve_locally=True,
        suppress_callback_exceptions=True,
        title="Detour",
        update_title=None,
        enable_mcp=False,
    )
    server.add_url_rule("/healthz", "healthz", lambda: flask.jsonify({"status": "ok"}))
    routing.follow_controls(app)
    for page in PAGES:
        page.register(app, services)
    app.layout = frame.frame(tuple(page.LINK for page in PAGES))
    frame.register(app)
    security.protect(app, settings)
    return app
