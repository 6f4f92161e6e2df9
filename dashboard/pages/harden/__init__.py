"""Harden: what does training against an attack change?"""

from __future__ import annotations

import dash
from dash import Dash

from dashboard.frame import PageLink
from dashboard.pages.harden import asking, comparing, drawing, keeping, layout, telling
from dashboard.pages.routing import page_layout
from dashboard.services import Services

LINK = PageLink("/harden", "Harden", "bi-hammer")


def register(app: Dash, services: Services) -> None:
    """Adds the page to an application."""
    dash.register_page(
        __name__, path=LINK.path, name=LINK.name, title="Harden · Detour", layout=page_layout(LINK.path, layout.build)
    )
    for part in (asking, comparing, drawing, telling, keeping):
        part.register(app, services)
