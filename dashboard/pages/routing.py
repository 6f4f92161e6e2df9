"""How a page's layout follows the URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dash import Dash, State, no_update

from dashboard.frame import SHOWN
from dashboard.pages import not_found
from dashboard.selection import MAX_QUERY, query_fields
from dashboard.services import current_services

ROUTER_STATE = "shown_"


def follow_controls(app: Dash) -> None:
    """Tells the page router what the controls show, so that it need not lay out again what they changed themselves.

    An address that is no page gets one that says so.
    """
    not_found.register(app)
    app.routing_callback_inputs[ROUTER_STATE] = State(SHOWN, "data")


def page_layout(path: str, build: Callable[[Any, Mapping[str, object]], object]) -> Callable[..., object]:
    """The layout function that Dash Pages calls with the URL's fields.

    Args:
        path: of the page.
        build: makes the layout from the services and the fields.
    """

    def layout(**query: object) -> object:
        shown = query.pop(ROUTER_STATE, None)
        if _is_shown(path, query, shown):
            return no_update
        return build(current_services(), query)

    return layout


def _is_shown(path: str, query: Mapping[str, object], shown: object) -> bool:
    if not isinstance(shown, dict) or shown.get("path") != path:
        return False
    search = str(shown.get("search") or "")
    return len(search) <= MAX_QUERY and query_fields(search) == dict(query)
