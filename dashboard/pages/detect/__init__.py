"""Detect: can the path tell an attacked image?"""

from __future__ import annotations

import dash
from dash import Dash

from dashboard.frame import PageLink
from dashboard.pages.detect import asking, drawing, layout, looking, telling
from dashboard.pages.routing import page_layout
from dashboard.services import Services

LINK = PageLink("/detect", "Detect", "bi-shield-check")


def register(app: Dash, services: Services) -> None:
    """Adds the page to an application."""
    dash.register_page(
        __name__, path=LINK.path, name=LINK.name, title="Detect · Detour", layout=page_layout(LINK.path, layout.build)
    )
    asking.register(app, services)
    looking.register(app, services)
    drawing.register(app, services)
    telling.register(app, services)
