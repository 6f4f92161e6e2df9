"""Callbacks for the words, the table, the links and the download of what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dash import Dash, Input, Output, State, dcc, html, no_update

from dashboard.components.figure_card import Waiting, file_download
from dashboard.components.icons import icon
from dashboard.pages.harden import ids
from dashboard.pages.harden.asking import selection_of
from dashboard.pages.harden.running import job_of
from dashboard.pages.harden.tables import robustness_table
from dashboard.pages.harden.view import layer_names, view_or_none, view_or_wait
from dashboard.pages.harden.words import similarity_words, summary, trained_words, units_words
from dashboard.selection import Parsed
from dashboard.services import Services
from dashboard.studies.harden_form import HardenForm
from engine.errors import EngineError

_LINKS = (
    ("/", "bi-search", "Inspect an image with it"),
    ("/sensitivity", "bi-activity", "Its units"),
    ("/classes", "bi-grid-3x3-gap", "Its class paths over training"),
)
#: What of a selection belongs to one model.
_OF_MODEL = ("study", "method", "against", "threshold", "detector", "sensitivity", "route", "layer", "unit", "pair",
             "harden", "comparison", "phases")  # fmt: skip


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""

    @app.callback(
        Output(ids.TRAINED, "children"),
        Output(ids.ANSWER, "hidden"),
        Input(ids.SELECTION, "data"),
        Input(ids.OUTCOME, "data"),
        Input(ids.COMPARISON_OUTCOME, "data"),
        Input(ids.REMOVED, "data"),
    )
    def tell_trained(search: str, _outcome: str | None, compared: str | None, _removed: object) -> tuple[object, bool]:
        words = _trained(services, services.parse(search))
        return words, words is None and compared is None

    @app.callback(
        Output(ids.COMPARED, "children"),
        Output(ids.TABLE, "children"),
        Output(ids.UNITS_NOTE, "children"),
        Output(ids.SIMILARITY_NOTE, "children"),
        Output(ids.REPORT_JSON, "hidden"),
        Input(ids.SELECTION, "data"),
        Input(ids.COMPARISON_OUTCOME, "data"),
    )
    def tell_compared(search: str, _outcome: str | None) -> tuple[object, ...]:
        try:
            view = view_or_wait(services, services.select(search))
        except (EngineError, Waiting):  # the errors above and the status say so
            return None, None, None, None, True
        return summary(view), robustness_table(view), units_words(view), similarity_words(view), False

    @app.callback(
        Output(ids.field("layer"), "options"),
        Output(ids.field("layer"), "value"),
        Output(ids.LOOK, "data"),
        Input(ids.SELECTION, "data"),
        Input(ids.COMPARISON_OUTCOME, "data"),
        State(ids.LOOK, "data"),
    )
    def offer_layers(search: str, outcome: str | None, known: Mapping[str, str] | None) -> tuple[object, ...]:
        view = view_or_none(services, search)
        shown = {"layer": view.layer or "", "outcome": outcome} if view else known
        if view is None or shown == known:
            return no_update, no_update, no_update
        names = layer_names(view.report)
        options = [{"value": name, "label": name} for name in names]
        if view.layer and view.layer not in names:  # it stays in the list, so that the URL is not changed unasked
            options.append({"value": view.layer, "label": f"{view.layer[:60]} (not in this comparison)"})
        return options, view.layer, shown

    @app.callback(
        Output(ids.REPORT_FILE, "data"),
        Input(ids.REPORT_JSON, "n_clicks"),
        State(ids.SELECTION, "data"),
        prevent_initial_call=True,
    )
    def save(clicks: int | None, search: str) -> object:
        view = view_or_none(services, search) if clicks else None
        if view is None:
            return no_update
        return file_download("comparison.json", json.dumps(view.report).encode(), "application/json")


def _trained(services: Services, parsed: Parsed) -> object:
    """What came of the hardening, with links to the new model; None while nothing has."""
    job = job_of(services, parsed)
    try:
        report = services.hardenings.report(job) if job else None
    except EngineError:  # the status says so
        return None
    if report is None:
        return None
    registry = services.choices.registry()
    before = registry[job.settings["model"]].facts.get("test_accuracy") if job.settings["model"] in registry else None
    words = html.Div(trained_words(report, before if isinstance(before, float) else None))
    return [words, model_links(services, parsed, report)]


def model_links(services: Services, parsed: Parsed, report: Mapping[str, Any]) -> html.Div:
    """Where the new model can be looked at, with the image and the attack as they are."""
    name = report["model"]
    if name not in services.choices.model_names():
        return html.Div(f"The model {report['label']} was removed since.", className="small text-body-secondary")
    search = _with_model(parsed, name)
    links = [
        dcc.Link([icon(picture, "me-1"), text], href=path + search, className="btn btn-sm btn-outline-primary")
        for path, picture, text in _LINKS
    ]
    note = html.Span("It can be chosen on every page.", className="small text-body-secondary")
    return html.Div([*links, note], className="d-flex flex-wrap gap-2 align-items-center mt-1 new-model")


def _with_model(parsed: Parsed, name: str) -> str:
    """The query string with another model of the same data."""
    selection = selection_of(parsed)
    image = selection.image or "test:0"
    nothing: dict[str, Any] = dict.fromkeys(_OF_MODEL)
    return replace(selection, model=name, image=image, picked=(), harden_form=HardenForm(), **nothing).to_query()
