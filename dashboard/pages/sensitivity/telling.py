"""Callbacks for the words, the table and the download of an outcome."""

from __future__ import annotations

import json

from dash import Dash, Input, Output, State, no_update

from dashboard.components.figure_card import Nothing, Waiting, file_download
from dashboard.components.retry import ASK_AGAIN, DONE, retry_input, retry_output
from dashboard.pages.sensitivity import ids
from dashboard.pages.sensitivity.page import PAGE
from dashboard.pages.sensitivity.seen import chosen_unit, least_sensitive, region_words, regions_of
from dashboard.pages.sensitivity.view import View, view_or_none, view_or_wait
from dashboard.pages.sensitivity.words import layer_answer, layer_table, ratios_note, summary, units_note
from dashboard.selection import Selection
from dashboard.services import Services
from dashboard.services.computations import Pending
from engine.errors import EngineError


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""

    @app.callback(
        Output(ids.SUMMARY, "children"),
        Output(ids.LAYER_ANSWER, "children"),
        Output(ids.UNITS_NOTE, "children"),
        Output(ids.RATIOS_NOTE, "children"),
        Output(ids.LAYERS, "children"),
        *PAGE.outcome_inputs(),
    )
    def tell(search: str, _outcome: str | None) -> tuple[object, ...]:
        try:
            view = view_or_wait(services, services.select(search))
        except Nothing as reason:
            return str(reason), None, None, None, None
        except (EngineError, Waiting):  # the errors above and the status say so
            return (no_update,) * 5
        report = view.report
        return summary(report), layer_answer(view), units_note(view), ratios_note(report), layer_table(report)

    @app.callback(
        Output(ids.REGION_NOTE, "children"),
        Output(ids.LEAST_NOTE, "children"),
        retry_output(ids.REGION_NOTE),
        *PAGE.outcome_inputs(),
        retry_input(ids.REGION_NOTE),
    )
    def tell_regions(search: str, _outcome: str | None, _again: int | None) -> tuple[object, object, bool]:
        found = view_or_none(services, search)
        if found is None:
            return None, None, DONE
        notes = [_region(services, *found, is_least=is_least) for is_least in (False, True)]
        return *notes, ASK_AGAIN if "…" in notes else DONE

    @app.callback(
        Output(ids.REPORT_FILE, "data"),
        Input(ids.REPORT_JSON, "n_clicks"),
        State(PAGE.shell.part("selection"), "data"),
        prevent_initial_call=True,
    )
    def save(clicks: int | None, search: str) -> object:
        found = view_or_none(services, search) if clicks else None
        if found is None:
            return no_update
        return file_download("sensitivity.json", json.dumps(found[1].report).encode(), "application/json")


def _region(services: Services, selection: Selection, view: View, *, is_least: bool) -> str:
    """What is said of a unit's region; "…" while it is being computed."""
    try:
        unit = (least_sensitive if is_least else chosen_unit)(services, selection, view)
        return region_words(view, unit, regions_of(services, selection, view, unit))
    except Pending:
        return "…"
    except (Nothing, EngineError):  # the card says why
        return ""
