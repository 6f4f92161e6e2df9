"""What stands in the frame for an address that is no page."""

from __future__ import annotations

import dash
from dash import Dash, Input, Output, dcc, html

from dashboard.frame import SHOWN
from dashboard.pages.shell import tie

SEARCH = "not-found-search"


def layout(**_query: object) -> html.Div:
    """A sentence, and the way back."""
    return html.Div(
        [
            dcc.Store(id=SEARCH, data=""),
            html.H1("There is no such page", className="page-title"),
            html.Div(
                [
                    html.P("The address of this page does not exist here; the link may be mistyped or out of date."),
                    dcc.Link("Go to Inspect", href="/"),
                ],
                className="panel",
            ),
        ]
    )


def register(app: Dash) -> None:
    """Adds the page to an application; Dash finds it by its module's name."""
    dash.register_page("not_found_404", path="/not-found", title="No such page · Detour", layout=layout)
    # The router must know that no page is shown, or it would not lay one out again on the way back.
    tie(
        app,
        "shown",
        Output(SHOWN, "data", allow_duplicate=True),
        Input(SEARCH, "data"),
        initial="initial_duplicate",
    )
