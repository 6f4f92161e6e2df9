"""Callbacks that tie the form to the URL, put a study in the queue, follow it, and offer what can be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import Dash, Input, Output, State, no_update
from dash.exceptions import PreventUpdate

from dashboard.pages.sensitivity import cards, ids
from dashboard.pages.sensitivity.layout import MOST, NONE
from dashboard.pages.sensitivity.page import PAGE
from dashboard.pages.sensitivity.view import View, having, layer_names, plain_layer, view_or_none
from dashboard.pages.unit_pages import look_text
from dashboard.selection import Selection
from dashboard.services import Services
from engine.errors import EngineError

MOST_SENSITIVE = 20
LEAST_SENSITIVE = 5


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""
    PAGE.register(app, services)

    @app.callback(
        Output(PAGE.look("layer"), "options"),
        Output(PAGE.look("layer"), "value"),
        Output(PAGE.look("unit"), "options"),
        Output(PAGE.look("unit"), "value"),
        Output(PAGE.part("shown-look"), "data"),
        *PAGE.outcome_inputs(),
        State(PAGE.part("shown-look"), "data"),
    )
    def offer(search: str, outcome: str | None, known: Mapping[str, str] | None) -> Sequence[object]:
        found = _chosen_report(services, search)
        if found is None:
            raise PreventUpdate
        selection, report = found
        _, view = view_or_none(services, search) or (None, None)
        of_unit = selection.unit[0] if selection.unit else ""
        layer = selection.layer or (plain_layer(view.layer) if view else of_unit)
        unit = look_text("unit", selection.unit)
        shown = {"layer": layer, "unit": unit, "outcome": outcome}
        if shown == known:
            raise PreventUpdate
        return _options(layer_names(report), layer), layer, _unit_options(view, unit), unit or NONE, shown

    @app.callback(
        Output(PAGE.look("unit"), "value", allow_duplicate=True),
        Input(cards.UNITS.part("graph"), "clickData"),
        State(PAGE.shell.part("selection"), "data"),
        prevent_initial_call=True,
    )
    def choose(click: Mapping[str, list[dict[str, object]]] | None, search: str) -> object:
        found, point = view_or_none(services, search), click["points"][0] if click else {}
        mark = point.get("customdata")
        if found is None or not isinstance(mark, list) or len(mark) < 2:
            return no_update
        view = found[1]
        if len(having(view.report, view.layer)) > 1 and point.get("curveNumber") != 0:
            return no_update  # a unit of another model
        return f"{plain_layer(str(mark[0]))}:{mark[1]}"

    @app.callback(
        Output(ids.CLASS, "options"),
        Output(ids.CLASS, "value"),
        Input(PAGE.part("outcome"), "data"),
        State(PAGE.shell.part("selection"), "data"),
        State(ids.CLASS, "value"),
    )
    def offer_classes(_outcome: str | None, search: str, chosen: str | None) -> tuple[object, object]:
        found = _chosen_report(services, search)
        if found is None or found[1]["importance"] is None:
            return [], None
        report = found[1]
        entries = sorted(report["importance"]["classes"], key=lambda one: (-one["images"], one["class"]))
        options = [
            {
                "value": str(one["class"]),
                "label": f"led to {report['classes'][one['class']]} ({one['images']:,} images)",
            }
            for one in entries
        ]
        values = [one["value"] for one in options]
        return options, chosen if chosen in values else next(iter(values), None)


def _chosen_report(services: Services, search: str) -> tuple[Selection, Mapping[str, Any]] | None:
    """A query string's selection and the report of its study, also where it names a layer that the study lacks."""
    try:
        selection = services.select(search)
        if selection.sensitivity is None:
            return None
        report = services.sensitivity.outcome(selection.sensitivity, selection.model)
    except EngineError:  # the page's status says so
        return None
    return None if report is None else (selection, report)


def _options(layers: Sequence[str], chosen: str) -> list[dict[str, str]]:
    """The layers; one that the study does not have stays in the list, so that the URL is not changed unasked."""
    options = [{"value": name, "label": name} for name in layers]
    return options if chosen in layers else [*options, {"value": chosen, "label": f"{chosen} (not in this study)"}]


def _unit_options(view: View | None, chosen: str) -> list[dict[str, str]]:
    """The units at both ends of the order, and the chosen one."""
    options = [{"value": NONE, "label": MOST}]
    if view is not None:
        order, layer = view.order, plain_layer(view.layer)
        ends = (
            order
            if len(order) <= MOST_SENSITIVE + LEAST_SENSITIVE
            else order[:MOST_SENSITIVE] + order[-LEAST_SENSITIVE:]
        )
        options += [
            {"value": f"{layer}:{unit}", "label": f"unit {unit}, place {view.rank(unit):,} of {len(order):,}"}
            for unit in ends
        ]
    if chosen and chosen not in [one["value"] for one in options]:
        options.append({"value": chosen, "label": _other_unit(view, chosen)})
    return options


def _other_unit(view: View | None, chosen: str) -> str:
    layer, _, unit = chosen.rpartition(":")
    if view is None or plain_layer(view.layer) != plain_layer(layer) or int(unit) >= view.entry["units"]:
        return f"unit {unit} of {layer} (not in this layer)"
    return f"unit {unit}, place {view.rank(int(unit)):,} of {len(view.order):,}"
