"""Route: where does the attack travel?"""

from __future__ import annotations

import dash
from dash import Dash

from dashboard.frame import PageLink
from dashboard.pages.route import asking, drawing, layout, picking, telling
from dashboard.pages.routing import page_layout
from dashboard.services import Services

LINK = PageLink("/route", "Route", "bi-diagram-3")


def register(app: Dash, services: Services) -> None:
    """Adds the page to an application."""
    dash.register_page(
        __name__, path=LINK.path, name=LINK.name, title="Route · Detour", layout=page_layout(LINK.path, layout.build)
    )
    asking.register(app, services)
    picking.register(app, services)
    drawing.register(app, services)
    telling.register(app, services)
