"""Callbacks for the words, tables and links of an outcome."""

from __future__ import annotations

import json

from dash import Dash, Input, Output, State, ctx, no_update

from dashboard.components.figure_card import Nothing, Waiting, file_download
from dashboard.pages.detect import ids
from dashboard.pages.detect.mistakes import mistakes
from dashboard.pages.detect.view import view_or_none, view_or_wait
from dashboard.pages.detect.words import adaptive_table, attack_table, confusion, contrast_table, summary
from dashboard.services import Services
from dashboard.studies.report import report_html
from engine.errors import EngineError


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""

    @app.callback(
        Output(ids.SUMMARY, "children"),
        Output(ids.ADAPTIVE, "children"),
        Output(ids.CONFUSION, "children"),
        Output(ids.MISSED, "children"),
        Output(ids.ATTACKED, "children"),
        Input(ids.SELECTION, "data"),
        Input(ids.OUTCOME, "data"),
    )
    def tell(search: str, _outcome: str | None) -> tuple[object, ...]:
        try:
            selection = services.select(search)
            view = view_or_wait(services, selection)
        except Nothing as reason:
            return str(reason), None, None, None, None
        except (EngineError, Waiting):  # the errors above and the status say so
            return (no_update,) * 5
        return (
            summary(view),
            adaptive_table(view.report),
            confusion(view),
            mistakes(services, selection, view),
            [attack_table(view.report), contrast_table(view.report)],
        )

    @app.callback(
        Output(ids.REPORT_FILE, "data"),
        Input(ids.REPORT_HTML, "n_clicks"),
        Input(ids.REPORT_JSON, "n_clicks"),
        State(ids.SELECTION, "data"),
        prevent_initial_call=True,
    )
    def save(as_page: int | None, as_json: int | None, search: str) -> object:
        if not (as_page or as_json):
            return no_update
        found = view_or_none(services, search)
        if found is None:
            return no_update
        report = found[1].report
        if ctx.triggered_id == ids.REPORT_JSON:
            return file_download("study.json", json.dumps(report).encode(), "application/json")
        return file_download("study.html", report_html(report).encode(), "text/html")
