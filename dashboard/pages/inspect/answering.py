"""Callbacks for the words and numbers of the Inspect page, its downloads and its background work."""

from __future__ import annotations

import dash_bootstrap_components as dbc
from dash import Dash, Input, Output, State, ctx, no_update

from dashboard.components.figure_card import file_download
from dashboard.components.pictures import npy_bytes, png_bytes
from dashboard.figures.images import perturbation_figure
from dashboard.pages.inspect import ids
from dashboard.pages.inspect.verdict import numbers, survival, verdict
from dashboard.selection import Selection, SelectionError
from dashboard.services import Services
from dashboard.services.inspection import Inspection
from engine.errors import EngineError


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""
    _register_words(app, services)
    _register_downloads(app, services)

    @app.callback(
        Output(ids.PIN_NOTE, "children"),
        Output(ids.PIN_CLEAR, "hidden"),
        Input(ids.SELECTION, "data"),
    )
    def show_pin(search: str) -> tuple[object, bool]:
        pin = services.parse(search).values.get("pin")
        name = "" if not pin else "your image" if pin.startswith("upload:") else pin.replace(":", " image ")
        return (f"Reference: {name}" if pin else None), not pin


def _register_words(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.VERDICT, "children"),
        Output(ids.NUMBERS, "children"),
        Output(ids.SAVE_NOTE, "children"),
        Output(ids.FACTOR, "children"),
        Input(ids.SELECTION, "data"),
        Input(ids.PATHS, "data"),
    )
    def tell(search: str, _paths: object) -> tuple[object, object, object, object]:
        try:
            selection = services.select(search)
            view = services.inspections.inspect(selection)
            return _words(services, selection, view)
        except SelectionError:
            return None, None, None, None
        except EngineError as error:
            return dbc.Alert(str(error), color="danger", class_name="m-0"), None, None, None


def _words(services: Services, selection: Selection, view: Inspection) -> tuple[object, object, object, object]:
    normal = services.normal_paths.ask(selection.model, selection.theta).normal
    similar = services.inspections.similarities(selection, normal.class_paths, 1) if normal else None
    norm = str(services.choices.attacks[selection.attack].facts.get("norm", "linf"))
    paths = (
        services.inspections.path(selection, view.clean, selection.rank),
        services.inspections.path(selection, view.adversarial, selection.rank),
    )
    factor = perturbation_figure(view.adversarial.pixels - view.clean.pixels)[1]
    return (
        verdict(view, norm, similar, normal),
        numbers(view, paths),
        survival(view),
        f"Magnified {factor:.3g} times.",
    )


def _register_downloads(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.SAVE_FILE, "data"),
        Input(ids.SAVE_PNG, "n_clicks"),
        Input(ids.SAVE_NPY, "n_clicks"),
        State(ids.SELECTION, "data"),
        prevent_initial_call=True,
    )
    def save(as_png: int | None, as_npy: int | None, search: str) -> object:
        if not (as_png or as_npy):
            return no_update
        selection = services.select(search)
        pixels = services.inspections.inspect(selection).adversarial.pixels
        stem = f"adversarial-{selection.model}-{selection.image.replace(':', '-')[:20]}-{selection.attack}"
        if ctx.triggered_id == ids.SAVE_NPY:
            return file_download(f"{stem}.npy", npy_bytes(pixels), "application/octet-stream")
        return file_download(f"{stem}.png", png_bytes(pixels), "image/png")
