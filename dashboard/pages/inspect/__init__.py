"""Inspect: what happens inside the network for this image?"""

from __future__ import annotations

import dash
from dash import Dash

from dashboard.frame import PageLink
from dashboard.pages.inspect import answering, choosing, drawing, judging, layout, unit_card
from dashboard.pages.routing import page_layout
from dashboard.services import Services

LINK = PageLink("/", "Inspect", "bi-search")


def register(app: Dash, services: Services) -> None:
    """Adds the page to an application."""
    dash.register_page(
        __name__, path=LINK.path, name=LINK.name, title="Inspect · Detour", layout=page_layout(LINK.path, layout.build)
    )
    choosing.register(app, services)
    answering.register(app, services)
    drawing.register(app, services)
    judging.register(app, services)
    unit_card.register(app, services)
