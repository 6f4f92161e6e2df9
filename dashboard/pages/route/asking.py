"""Callbacks that tie the controls of the Route page to the URL."""

from __future__ import annotations

from dash import Dash, Input, Output, State

from dashboard.pages.route import ids
from dashboard.pages.route.page import PAGE
from dashboard.pages.shell import tie
from dashboard.services import Services


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""
    PAGE.register(app, services)
    tie(
        app,
        "numbered",
        Output(PAGE.look("image"), "value"),
        Output(ids.NUMBER, "value"),
        Input(ids.NUMBER, "value"),
        Input(ids.RANDOM, "n_clicks"),
        Input(ids.PREVIOUS, "n_clicks"),
        Input(ids.NEXT, "n_clicks"),
        State(PAGE.look("image"), "value"),
        State(ids.IMAGES, "data"),
    )
