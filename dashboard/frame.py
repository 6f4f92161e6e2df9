"""What surrounds every page: the rail, the tools on the top right, and the stores that tie the URL to the controls."""

from __future__ import annotations

from dataclasses import dataclass

import dash
import dash_bootstrap_components as dbc
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html

from dashboard.components.icons import icon, icon_button
from dashboard.components.job_tray import job_tray, register_job_tray
from dashboard.services import Services

THEME = "theme"
THEME_SWITCH = "theme-switch"
SHOWN = "shown-selection"
COPY = "copy-link"
COPIED = "copy-link-note"


@dataclass(frozen=True, slots=True)
class PageLink:
    """A page in the rail."""

    path: str
    name: str
    icon: str


def frame(links: tuple[PageLink, ...], warning: str) -> html.Div:
    """The layout around all pages.

    Args:
        links: the pages.
        warning: what visitors should know about this server, "" for nothing.
    """
    page = html.Div(dash.page_container, className="detour-main", id="content")
    banner = dbc.Alert(warning, color="warning", class_name="server-warning") if warning else None
    return html.Div(
        [
            html.Div(className="at-work", **{"aria-hidden": "true"}),
            html.A("Skip to the page", href="#content", className="visually-hidden-focusable"),
            dcc.Store(id=THEME),
            dcc.Store(id=SHOWN),
            html.Div(
                [
                    _rail(links),
                    html.Main([banner, html.Div([_tools(), page], className="detour-page")]),
                ],
                className="detour-frame",
            ),
            html.Div(id="notices", role="alert", **{"aria-live": "assertive"}),
        ]
    )


def _rail(links: tuple[PageLink, ...]) -> html.Nav:
    brand = html.Div(
        [icon("bi-signpost-split-fill"), html.Span("Detour", className="rail-text")], className="detour-brand"
    )
    entries = [
        dcc.Link(
            [icon(link.icon), html.Span(link.name, className="rail-text")],
            id={"type": "rail-link", "path": link.path},
            href=link.path,
            className="rail-link",
            title=link.name,
        )
        for link in links
    ]
    return html.Nav([brand, *entries], className="detour-rail", **{"aria-label": "Pages"})


def _tools() -> html.Div:
    return html.Div(
        [
            html.Span(
                id=COPIED,
                className="small text-body-secondary text-truncate",
                role="status",
                style={"maxWidth": "20rem"},
            ),
            job_tray(),
            icon_button(COPY, "bi-link-45deg", "Copy a link to this view"),
            icon_button(THEME_SWITCH, "bi-circle-half", "Switch between light and dark"),
        ],
        className="detour-tools",
    )


def register(app: Dash, services: Services) -> None:
    """Registers the frame's callbacks."""
    register_job_tray(app, services)
    app.clientside_callback(
        ClientsideFunction("theme", "toggle"), Output(THEME, "data"), Input(THEME_SWITCH, "n_clicks")
    )
    app.clientside_callback(
        ClientsideFunction("selection", "links"),
        Output({"type": "rail-link", "path": ALL}, "href"),
        Output({"type": "rail-link", "path": ALL}, "className"),
        Input(SHOWN, "data"),
        State({"type": "rail-link", "path": ALL}, "id"),
    )
    app.clientside_callback(
        ClientsideFunction("selection", "copy"),
        Output(COPIED, "children"),
        Input(COPY, "n_clicks"),
        prevent_initial_call=True,
    )
