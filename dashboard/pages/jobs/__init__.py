"""Jobs: what is running, what ran?"""

from __future__ import annotations

import dash
from dash import Dash

from dashboard.frame import PageLink
from dashboard.pages.jobs import callbacks, layout
from dashboard.pages.routing import page_layout
from dashboard.services import Services

LINK = PageLink("/jobs", "Jobs", "bi-list-task")


def register(app: Dash, services: Services) -> None:
    """Adds the page to an application."""
    dash.register_page(
        __name__, path=LINK.path, name=LINK.name, title="Jobs · Detour", layout=page_layout(LINK.path, layout.build)
    )
    callbacks.register(app, services)
