"""Callbacks that keep what a stopped hardening has left, list the server's own models, and remove one of them."""

from __future__ import annotations

from collections.abc import Sequence

import dash_bootstrap_components as dbc
from dash import ALL, Dash, Input, Output, State, ctx, html, no_update
from dash.exceptions import PreventUpdate

from dashboard.components.icons import icon
from dashboard.pages.following import problem
from dashboard.pages.harden import ids
from dashboard.pages.harden.words import percent
from dashboard.pages.unit_pages import table
from dashboard.services import Services
from dashboard.services.hardenings import OwnModel
from engine.errors import EngineError

_NOTHING = "There is none yet. What is hardened here is listed here, and can be chosen on every page."


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""
    _register_keeping(app, services)
    _register_removing(app, services)

    @app.callback(
        Output(ids.OWN, "children"),
        Output(ids.MODEL, "options"),
        Input(ids.OUTCOME, "data"),
        Input(ids.KEPT, "data"),
        Input(ids.REMOVED, "data"),
    )
    def tell(*_changes: object) -> tuple[object, object]:
        options = [{"value": name, "label": label} for name, label in services.choices.labels().items()]
        return own_models(services), options


def _register_keeping(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.KEPT, "data"),
        Output(ids.KEPT_NOTE, "children"),
        Input(ids.keep(ALL), "n_clicks"),
        prevent_initial_call=True,
    )
    def keep(clicks: Sequence[int | None]) -> tuple[object, object]:
        if not any(clicks) or not isinstance(ctx.triggered_id, dict):
            raise PreventUpdate
        try:
            name = services.hardenings.keep(services.jobs.job(ctx.triggered_id["name"]))
        except EngineError as error:
            return no_update, dbc.Alert(str(error), color="danger", class_name="mt-2")
        label = services.choices.labels().get(name, name)
        words = ["It is kept as ", html.Strong(label), " and can be chosen on every page."]
        return {"name": name, "click": sum(one or 0 for one in clicks)}, dbc.Alert(
            words, color="success", class_name="mt-2"
        )


def _register_removing(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.REMOVE_DIALOG, "is_open"),
        Output(ids.REMOVE_WORDS, "children"),
        Output(ids.REMOVING, "data"),
        Input(ids.remove(ALL), "n_clicks"),
        Input(ids.REMOVE_NO, "n_clicks"),
        Input(ids.REMOVED, "data"),
        prevent_initial_call=True,
    )
    def ask(clicks: Sequence[int | None], _no: int | None, _removed: object) -> tuple[object, ...]:
        chosen = ctx.triggered_id
        if not isinstance(chosen, dict):
            return False, no_update, None
        if not any(clicks):  # the buttons were drawn anew; nobody has pressed one
            raise PreventUpdate
        label = services.choices.labels().get(chosen["name"], chosen["name"])
        return True, f"Remove {label}? Its weights are deleted. That cannot be undone.", chosen["name"]

    @app.callback(
        Output(ids.REMOVED, "data"),
        Output(ids.OWN_NOTE, "children"),
        Input(ids.REMOVE_YES, "n_clicks"),
        State(ids.REMOVING, "data"),
        prevent_initial_call=True,
    )
    def remove(clicks: int | None, name: str | None) -> tuple[object, object]:
        if not clicks or not name:
            raise PreventUpdate
        try:
            services.hardenings.remove(name)
        except EngineError as error:
            return {"click": clicks}, problem(str(error))
        return {"click": clicks, "name": name}, f"{name} was removed."


def own_models(services: Services) -> object:
    """The server's own models, the newest first."""
    models, labels = services.hardenings.models(), services.choices.labels()
    if not models:
        return html.P(_NOTHING, className="small text-body-secondary mb-0")
    rows = [
        [
            model.label if not model.problem else f"{model.label}: {model.problem}",
            labels.get(model.parent, model.parent or "–"),
            model.way_label or "–",
            percent(model.accuracy),
            f"{model.date:%-d %b %Y, %H:%M} UTC",
            _remove_button(model),
        ]
        for model in models
    ]
    return table(["Model", "Parent", "Method", "Test accuracy", "Made", "Remove"], rows)


def _remove_button(model: OwnModel) -> html.Button:
    return html.Button(
        [icon("bi-trash3"), html.Span(f"Remove {model.label}", className="visually-hidden")],
        id=ids.remove(model.name),
        n_clicks=0,
        type="button",
        title=f"Remove {model.label}",
        className="btn btn-sm btn-outline-secondary small-button",
    )
