"""Callbacks by which the units of the live experiment are chosen: buttons, layers, clicks on the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from dash import ALL, Dash, Input, Output, State, ctx, html, no_update
from dash.exceptions import PreventUpdate

from dashboard.components.retry import ASK_AGAIN, DONE, retry_input, retry_output
from dashboard.pages.route import cards, ids
from dashboard.pages.route.page import PAGE, SHELL
from dashboard.pages.route.view import report_or_none, route_of_model
from dashboard.selection import MAX_LIST, Selection, picked_text
from dashboard.services import Services
from dashboard.services.computations import Pending
from engine.errors import EngineError
from engine.network.units import UnitLayer
from engine.route.control import random_others

Picked = dict[str, list[int]]
STILL = "The route is still being computed …"


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""
    _register_choice(app, services)
    _register_layers(app, services)
    _register_kind(app)


def _register_choice(app: Dash, services: Services) -> None:
    @app.callback(
        Output(PAGE.look("picked"), "value"),
        Output(ids.PICK_NOTE, "children"),
        Output(cards.MAP.part("graph"), "clickData"),
        Output(ids.ASKED, "data"),
        retry_output(ids.PICK_NOTE),
        Input({"type": ids.FILL, "source": ALL}, "n_clicks"),
        Input({"type": ids.CHIP, "layer": ALL}, "n_clicks"),
        Input(cards.MAP.part("graph"), "clickData"),
        retry_input(ids.PICK_NOTE),
        State(ids.ASKED, "data"),
        State(PAGE.look("picked"), "value"),
        State(SHELL.part("selection"), "data"),
        prevent_initial_call=True,
    )
    def choose(_f: object, _c: object, _m: object, _again: object, asked: Any, text: str, search: str) -> tuple:
        """What is clicked before the route is there is remembered, and done once it is."""
        clicked = ctx.triggered[0]["value"] if ctx.triggered else None
        if not clicked:
            raise PreventUpdate
        again = ctx.triggered_id == retry_input(ids.PICK_NOTE).component_id
        by, value = asked or (None, None) if again else (ctx.triggered_id, clicked)
        if by is None:
            raise PreventUpdate
        if by == {"type": ids.FILL, "source": "none"}:
            return "", None, None, None, DONE
        try:
            wanted, note = _wanted(services, services.select(search), by, value, _read(services, text))
        except Pending:
            return no_update, STILL, None, [by, value], ASK_AGAIN
        except EngineError as error:
            return no_update, html.Span(str(error), className="text-danger-emphasis"), None, None, DONE
        kept, left_out = fitting(wanted)
        return picked_text([*kept.items()]), left_out or note, None, None, DONE  # the same unit can be clicked again

    @app.callback(
        Output({"type": ids.FILL, "source": ALL}, "disabled"),
        Input(SHELL.part("selection"), "data"),
        Input(PAGE.part("outcome"), "data"),
        State({"type": ids.FILL, "source": ALL}, "id"),
    )
    def enable(search: str, _outcome: str | None, fills: list[dict[str, str]]) -> list[bool]:
        try:
            selection = services.select(search)
        except EngineError:
            return [fill["source"] != "none" for fill in fills]
        without = report_or_none(services, selection) is None
        return [fill["source"] == "model" and without for fill in fills]


def _read(services: Services, text: str | None) -> Picked:
    """The units in the text field; what is wrong in it is replaced by what is chosen now."""
    picked = services.parse_fields({"picked": text or ""}).values.get("picked", ())
    return {layer: list(units) for layer, units in picked}


def _wanted(services: Services, selection: Selection, by: Any, value: Any, now: Picked) -> tuple[Picked, str | None]:
    """The units after a click, and what is to be said of them."""
    layers = services.interventions.layers(selection.model)
    if by == cards.MAP.part("graph"):
        mark = value["points"][0].get("customdata")
        return (_toggled(now, str(mark[0]), int(mark[1])) if mark else now), None
    route = {layer: units.tolist() for layer, units in services.interventions.route(selection).items()}
    if by["type"] == ids.CHIP:
        layer = by["layer"]
        return {name: units for name, units in _with_layer(now, route, layer).items() if units}, None
    if by["source"] == "image":
        return route, None
    of_model = route_of_model(report_or_none(services, selection))
    if by["source"] == "model":
        return of_model or now, None
    return control(now or route, [route, of_model or {}], layers, draw=int(value))


def _toggled(now: Picked, layer: str, unit: int) -> Picked:
    units = set(now.get(layer, ())) ^ {unit}
    return {name: held for name, held in {**now, layer: sorted(units)}.items() if held}


def _with_layer(now: Picked, route: Picked, layer: str) -> Picked:
    """A layer's units go, or those of the image's route come."""
    return {**now, layer: [] if now.get(layer) else route[layer]}


def control(
    now: Mapping[str, Sequence[int]],
    routes: Sequence[Mapping[str, Sequence[int]]],
    layers: Sequence[UnitLayer],
    draw: int,
) -> tuple[Picked, str | None]:
    """As many units of the same layers, none of them on a route; and what is said where there are too few of them."""
    sizes = {layer.layer: layer.units for layer in layers}
    counts = {layer: len(units) for layer, units in now.items() if layer in sizes}
    on_route = {
        layer: np.unique(np.concatenate([np.array(route.get(layer, ()), dtype=np.int64) for route in routes]))
        for layer in counts
    }
    drawn = random_others(on_route, sizes, counts, draw=draw)
    found = {layer: units.tolist() for layer, units in drawn.items() if len(units)}
    short = [layer for layer, count in counts.items() if len(drawn[layer]) < count]
    note = (
        f"In {', '.join(short)} fewer units are on no route than were chosen: the control has fewer." if short else None
    )
    return found, note


def fitting(wanted: Mapping[str, Sequence[int]]) -> tuple[Mapping[str, Sequence[int]], str | None]:
    """As many layers, from the last back, as a link can hold; and what is said where these are not all."""
    kept: dict[str, Sequence[int]] = {}
    for layer in reversed(wanted):
        if len(picked_text([*kept.items(), (layer, wanted[layer])])) > MAX_LIST:
            break
        kept[layer] = wanted[layer]
    note = f"A link holds no more: the units of the last {len(kept)} of {len(wanted)} layers are chosen."
    return dict(reversed(kept.items())), note if len(kept) < len(wanted) else None


def _register_layers(app: Dash, services: Services) -> None:
    chips = {"type": ids.CHIP, "layer": ALL}

    @app.callback(
        Output(ids.CHIPS, "children"),
        retry_output(ids.CHIPS),
        Input(SHELL.part("selection"), "data"),
        retry_input(ids.CHIPS),
        State(chips, "id"),
    )
    def offer(search: str, _again: int | None, shown: list[dict[str, str]]) -> tuple[object, bool]:
        """The buttons stay as they are while the layers do, so that the focus stays."""
        try:
            model = services.parse(search).values.get("model")
            layers = services.interventions.layers(model) if model else ()
        except Pending:
            return no_update, ASK_AGAIN
        except EngineError:  # the map says why
            return None, DONE
        names = [layer.layer for layer in layers]
        if names == [chip["layer"] for chip in shown]:
            return no_update, DONE
        return [_chip(name) for name in names], DONE

    @app.callback(
        Output(chips, "children"),
        Output(chips, "aria-pressed"),
        Input(SHELL.part("selection"), "data"),
        Input(ids.CHIPS, "children"),
        State(chips, "id"),
    )
    def press(search: str, _chips: object, shown: list[dict[str, str]]) -> tuple[list[str], list[str]]:
        values = services.parse(search).values
        picked = dict(values.get("picked", ()))
        try:
            layers = services.interventions.layers(values["model"]) if "model" in values else ()
        except (Pending, EngineError):
            layers = ()
        sizes = {layer.layer: layer.units for layer in layers}
        names = [chip["layer"] for chip in shown]
        texts = [f"{name}: {len(picked.get(name, ()))} of {sizes.get(name, '…')}" for name in names]
        return texts, [str(bool(picked.get(name))).lower() for name in names]


def _chip(layer: str) -> html.Button:
    return html.Button(
        layer,
        id={"type": ids.CHIP, "layer": layer},
        n_clicks=0,
        type="button",
        title=f"Chooses the units of this image's route in {layer}, or none of {layer}",
        className="btn btn-sm btn-outline-secondary route-chip",
        **{"aria-pressed": "false"},
    )


def _register_kind(app: Dash) -> None:
    @app.callback(
        Output(ids.KEEPS, "hidden"),
        Output(ids.KEEPS_NUMBER, "children"),
        Input(PAGE.look("act"), "value"),
        Input(PAGE.look("factor"), "value"),
    )
    def show_factor(act: str | None, factor: object) -> tuple[bool, str]:
        return act == "transplant", str(factor)
