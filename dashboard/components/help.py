"""The help of a page: what it shows, its formulas and the paper."""

from __future__ import annotations

import dash_bootstrap_components as dbc
from dash import ClientsideFunction, Dash, Input, Output, html

from dashboard.components.icons import icon


def help_panel(name: str, opener: str, title: str, parts: list[tuple[str, str]]) -> html.Span:
    """A button that opens a panel of headed paragraphs."""
    text = [item for heading, body in parts for item in (html.H3(heading, className="h6 mt-3"), html.P(body))]
    button = html.Button(
        [icon("bi-question-circle", "me-1"), "Help"],
        id=opener,
        n_clicks=0,
        type="button",
        className="btn btn-sm btn-outline-secondary ms-2 align-baseline",
    )
    return html.Span(
        [button, dbc.Offcanvas(text, id=name, title=title, placement="end", is_open=False, labelledby=opener)]
    )


def register_help(app: Dash, name: str, opener: str) -> None:
    """Opens the panel when its button is pressed."""
    app.clientside_callback(
        ClientsideFunction("figures", "open"),
        Output(name, "is_open"),
        Input(opener, "n_clicks"),
        prevent_initial_call=True,
    )
