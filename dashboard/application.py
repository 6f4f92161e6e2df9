"""Puts the application together."""

from __future__ import annotations

from pathlib import Path

import flask
from dash import Dash

from dashboard import frame, security
from dashboard.pages import classes, detect, harden, inspect, jobs, route, routing, sensitivity
from dashboard.services import EXTENSION, Services
from dashboard.services.jobs.kinds import MODULE
from dashboard.settings import Settings

ASSETS = Path(__file__).resolve().parents[1] / "assets"
PAGES = (inspect, classes, detect, sensitivity, route, harden, jobs)


def create_app(settings: Settings, *, kinds: str = MODULE) -> Dash:
    """Builds an application; several can live in one process.

    Its queue of jobs has a thread and processes: call ``close()`` of :attr:`Services.jobs` when the application ends.

    Args:
        settings: options of the server.
        kinds: importable module that holds the kinds of job.

    Raises:
        EngineError: if an own model named in ``settings`` cannot be used.
    """
    services = Services.create(settings, kinds=kinds)
    try:
        return _assemble(settings, services)
    except BaseException:  # also a signal to end
        services.jobs.close()
        raise


def _assemble(settings: Settings, services: Services) -> Dash:
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
    links = tuple(page.LINK for page in PAGES)
    app.layout = lambda: frame.frame(links, services.notice())  # asked for by each page that is loaded
    frame.register(app, services)
    security.protect(app, settings)
    return app
