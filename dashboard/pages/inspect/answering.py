"""Callbacks for the words and numbers of the Inspect page, its pinned image and its downloads."""

from __future__ import annotations

from collections.abc import Sequence

import dash_bootstrap_components as dbc
from dash import Dash, Input, Output, State, ctx, html, no_update

from dashboard.components.figure_card import file_download
from dashboard.components.pictures import npy_bytes, picture_url, png_bytes
from dashboard.components.retry import ASK_AGAIN, DONE, retry_input, retry_output, working_words
from dashboard.figures.images import BRIGHTER, DARKER, perturbation_figure
from dashboard.pages.inspect import ids
from dashboard.pages.inspect.numbers import numbers, survival
from dashboard.pages.inspect.verdict import called, verdict
from dashboard.pages.wording import with_article
from dashboard.selection import Selection, SelectionError
from dashboard.services import Services
from dashboard.services.computations import Pending
from dashboard.services.inspection import Inspection, Subject
from engine.errors import EngineError

PIN_NOT_DRAWN = "The reference is not drawn here: this graph compares the image with its attacked copy."


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""
    _register_words(app, services)
    _register_downloads(app, services)
    _register_pin(app, services)


def _register_pin(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.PIN_NOTE, "children"),
        Output(ids.GRAPH_NOTE, "children"),
        Output(ids.PIN_CLEAR, "hidden"),
        retry_output(ids.PIN_NOTE),
        Input(ids.SELECTION, "data"),
        retry_input(ids.PIN_NOTE),
    )
    def show_pin(search: str, _again: int | None) -> tuple[object, object, bool, bool]:
        try:
            selection = services.select(search)
            if selection.pin is None:
                return None, None, True, DONE
            pinned = services.inspections.subject(selection.model, selection.pin)
        except Pending:
            return None, None, False, ASK_AGAIN
        except EngineError:  # the errors above or the verdict say so; what is pinned can still be unpinned
            return None, None, not services.parse(search).values.get("pin"), DONE
        names = services.choices.get(selection.model).classifier.classes
        return _pin_note(pinned, names), PIN_NOT_DRAWN, False, DONE


def _pin_note(pinned: Subject, names: Sequence[str]) -> list[object]:
    described = pinned.name if pinned.label is None else f"{pinned.name}, {with_article(names[pinned.label])}"
    picture = html.Img(src=picture_url(pinned.pixels), alt="", className="pinned me-1")
    return [picture, f"Reference: {described}"]


def _register_words(app: Dash, services: Services) -> None:
    words = (ids.VERDICT, ids.NUMBERS, ids.SAVE_NOTE, ids.FACTOR, ids.CALLED)

    @app.callback(
        *[Output(name, "children") for name in words],
        retry_output(ids.VERDICT),
        Input(ids.SELECTION, "data"),
        Input(ids.PATHS, "data"),
        retry_input(ids.VERDICT),
    )
    def tell(search: str, _paths: object, _again: int | None) -> tuple[object, ...]:
        nothing = (None,) * (len(words) - 1)
        try:
            selection = services.select(search)
            view = services.inspections.inspect(selection)
        except SelectionError:
            return None, *nothing, DONE
        except Pending as pending:
            return working_words(pending), *nothing, ASK_AGAIN
        except EngineError as error:
            return dbc.Alert(str(error), color="danger", class_name="m-0"), *nothing, DONE
        told, counted, state = _of_paths(services, selection, view)
        return told, counted, survival(view), _magnification(view), called(view), state


def _of_paths(services: Services, selection: Selection, view: Inspection) -> tuple[object, object, bool]:
    """The verdict and the numbers, as far as paths are there, and whether to ask again."""
    norm = str(services.choices.attacks[selection.attack].facts.get("norm", "linf"))
    try:
        normal = services.normal_paths.ask(selection.model, selection.theta).normal
        similar = services.inspections.similarities(selection, normal.class_paths, 1) if normal else None
        clean = services.inspections.path(selection, view.clean, selection.rank)
        adversarial = services.inspections.path(selection, view.adversarial, selection.rank)
    except Pending:
        return verdict(view, norm, None, None), None, ASK_AGAIN
    except EngineError as error:
        return [*verdict(view, norm, None, None), f" Its paths cannot be shown: {error}"], None, DONE
    return verdict(view, norm, similar, normal), numbers(view, (clean, adversarial)), DONE


def _magnification(view: Inspection) -> list[object]:
    """The factor of the perturbation's picture, and what its two colours mean."""
    delta = view.adversarial.pixels - view.clean.pixels
    factor = f"{perturbation_figure(delta)[1]:.3g}"
    words = "Not magnified." if factor == "1" else f"Magnified {factor} times."
    if len(delta) > 1:
        return [words, " In each colour channel, dark is less and bright is more."]
    return [words, html.Div([_key(DARKER, "darker"), _key(BRIGHTER, "brighter")])]


def _key(color: str, text: str) -> html.Span:
    return html.Span([html.Span(className="swatch", style={"background": color}), text], className="text-nowrap me-2")


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
        try:
            pixels = services.inspections.inspect(selection).adversarial.pixels
        except Pending:
            raise EngineError("The attack is still being computed; save its image when the page shows it.") from None
        stem = f"adversarial-{selection.model}-{selection.image.replace(':', '-')[:20]}-{selection.attack}"
        if ctx.triggered_id == ids.SAVE_NPY:
            return file_download(f"{stem}.npy", npy_bytes(pixels), "application/octet-stream")
        return file_download(f"{stem}.png", png_bytes(pixels), "image/png")
