"""Callbacks for the words, tables and links of the Route page."""

from __future__ import annotations

import json

import dash_bootstrap_components as dbc
from dash import Dash, Input, Output, State, html, no_update

from dashboard.components.figure_card import Waiting, file_download
from dashboard.components.retry import ASK_AGAIN, DONE, retry_input, retry_output, working_words
from dashboard.pages.route import ids
from dashboard.pages.route.hardest import ranked_images
from dashboard.pages.route.page import PAGE, SHELL
from dashboard.pages.route.statements import layer_table, statements, summary
from dashboard.pages.route.view import WHOLE, Report, connection_name, report_or_wait
from dashboard.pages.route.words import attacked, experiment, likeness, pictures
from dashboard.selection import Selection, SelectionError
from dashboard.services import Services
from dashboard.services.computations import Pending
from dashboard.services.inspection import Inspection
from engine.errors import EngineError


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""
    _register_image(app, services)
    _register_likeness(app, services)
    _register_study(app, services)


def _register_image(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.SAID, "children"),
        Output(ids.PICTURES, "children"),
        Output(ids.WHICH, "children"),
        retry_output(ids.SAID),
        Input(SHELL.part("selection"), "data"),
        retry_input(ids.SAID),
    )
    def tell(search: str, _again: int | None) -> tuple[object, ...]:
        try:
            selection = services.select(search)
            view = services.inspections.inspect(selection)
        except SelectionError:
            return None, None, no_update, DONE
        except Pending as pending:
            return working_words(pending), no_update, no_update, ASK_AGAIN
        except EngineError as error:
            return dbc.Alert(str(error), color="danger", class_name="m-0"), None, no_update, DONE
        which = "your image" if view.clean.label is None else "test image"
        told, state = _of_experiment(services, selection, view)
        return [html.P(attacked(view), className="mb-1"), told], pictures(view), which, state


def _of_experiment(services: Services, selection: Selection, view: Inspection) -> tuple[object, bool]:
    """What the picked units do, and whether to ask again."""
    try:
        changed = services.interventions.intervened(selection)
        sizes = {layer.layer: layer.units for layer in services.interventions.layers(selection.model)}
        route = services.interventions.route(selection)
    except Pending as pending:
        return html.P(working_words(pending), className="mb-0"), ASK_AGAIN
    except EngineError as error:
        return dbc.Alert(str(error), color="warning", class_name="m-0"), DONE
    return html.P(experiment(view, changed, selection, sizes, route), className="mb-0"), DONE


def _register_likeness(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.LIKENESS, "children"),
        retry_output(ids.LIKENESS),
        Input(SHELL.part("selection"), "data"),
        Input(SHELL.part("paths"), "data"),
        retry_input(ids.LIKENESS),
    )
    def compare(search: str, _paths: object, _again: int | None) -> tuple[object, bool]:
        try:
            selection = services.select(search)
            change = services.interventions.path_change(selection)
            if change is None:
                return None, DONE
            true = services.inspections.inspect(selection).true_class
        except Pending:
            return None, ASK_AGAIN
        except EngineError:  # the card says why
            return None, DONE
        normal = services.normal_paths.ask(selection.model, selection.theta).normal
        return likeness(change, normal.class_paths if normal else None, true), DONE


def _register_study(app: Dash, services: Services) -> None:
    parts = [(name, "children") for name in (ids.SUMMARY, ids.STATEMENTS, ids.HARDEST, ids.TABLE)]

    @app.callback(*[Output(*part) for part in parts], Output(PAGE.look("layer"), "options"), *PAGE.outcome_inputs())
    def tell(search: str, _outcome: str | None) -> tuple[object, ...]:
        try:
            selection = services.select(search)
            report = report_or_wait(services, selection)
        except (EngineError, Waiting):  # the errors above and the status say so
            return None, *[no_update] * 4
        return (
            summary(report),
            statements(report),
            ranked_images(services, selection, report),
            layer_table(report),
            connection_options(report, selection.layer),
        )

    @app.callback(
        Output(ids.REPORT_FILE, "data"),
        Input(ids.REPORT_JSON, "n_clicks"),
        State(SHELL.part("selection"), "data"),
        prevent_initial_call=True,
    )
    def save(clicks: int | None, search: str) -> object:
        if not clicks:
            return no_update
        try:
            selection = services.select(search)
            report = services.routes.outcome(selection.route, selection.model) if selection.route else None
        except EngineError:
            report = None
        if report is None:
            return no_update
        return file_download("route.json", json.dumps(report).encode(), "application/json")


def connection_options(report: Report, named: str | None) -> list[dict[str, str]]:
    """The connections that were weakened; a layer that reads none stays in the list, as the URL names it."""
    entries = report["weakening"]
    names = {connection_name(entry, entries): " and ".join(entry["layers"]) for entry in entries}
    if len(entries) == 1:
        names = {WHOLE: next(iter(names.values()))}
    elif entries:
        names = {WHOLE: "all together"} | {name: text for name, text in names.items() if name != WHOLE}
    if named and named not in names:
        names[named] = f"{named}: no such connection here, all shown"
    return [{"value": name, "label": text} for name, text in names.items()]
