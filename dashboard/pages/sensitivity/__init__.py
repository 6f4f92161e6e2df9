"""Sensitivity: which units react to an attack?"""

from __future__ import annotations

import dash
from dash import Dash

from dashboard.frame import PageLink
from dashboard.pages.routing import page_layout
from dashboard.pages.sensitivity import asking, drawing, layout, telling
from dashboard.services import Services

LINK = PageLink("/sensitivity", "Sensitivity", "bi-activity")


def register(app: Dash, services: Services) -> None:
    """Adds the page to an application."""
    dash.register_page(
        __name__,
        path=LINK.path,
        name=LINK.name,
        title="Sensitivity · Detour",
        layout=page_layout(LINK.path, layout.build),
    )
    asking.register(app, services)
    drawing.register(app, services)
    telling.register(app, services)
