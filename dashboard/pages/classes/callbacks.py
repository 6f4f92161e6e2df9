"""The callbacks of the Classes page."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
from dash import Dash, Input, Output, State, no_update

from dashboard.components.figure_card import Nothing, Waiting, register_card
from dashboard.figures.class_matrix import class_similarity
from dashboard.figures.density import density_growth, density_per_layer
from dashboard.figures.similarity import pair_similarity
from dashboard.frame import THEME
from dashboard.pages.classes import cards, comparison, ids, training
from dashboard.pages.classes.layout import SHELL, pair_choice
from dashboard.pages.classes.pair import comparable_pair, pair_examples, pair_numbers, shown_pair
from dashboard.pages.classes.summary import summary
from dashboard.pages.normal import known_classes, missing_note, normal_or_wait
from dashboard.pages.shell import tie
from dashboard.selection import Selection
from dashboard.services import Services
from engine.errors import EngineError
from engine.paths.class_paths import ClassPaths

DrawPaths = Callable[[ClassPaths, Selection, str], go.Figure]


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""
    SHELL.register(app, services)
    _register_browser_side(app)
    _register_words(app, services)
    training.register(app, services)
    inputs = [Input(ids.SELECTION, "data"), Input(THEME, "data"), Input(ids.PATHS, "data")]
    for card, draw in (
        (cards.MATRIX, _matrix),
        (cards.PAIR, _pair),
        (cards.DENSITY, _density),
        (cards.GROWTH, _growth),
    ):
        register_card(app, services.drawings, card, _drawing(services, draw), inputs)


def _register_browser_side(app: Dash) -> None:
    tie(
        app,
        "classes",
        Output(ids.SELECTION, "data"),
        Output(ids.FIRST, "value"),
        Output(ids.SECOND, "value"),
        Output(ids.PAIR_NOTE, "children"),
        Input(ids.THETA, "value"),
        Input(cards.MATRIX.part("graph"), "clickData"),
        Input(ids.FIRST, "value"),
        Input(ids.SECOND, "value"),
        Input(ids.PHASES_SUBMITTED, "data"),
        Input(ids.PHASED, "value"),
        State(ids.SHOWN_PAIR, "data"),
        *SHELL.known(),
    )


def _drawing(services: Services, draw: DrawPaths) -> Callable[[str, str, object], go.Figure]:
    def figure(search: str, theme: str, _paths: object) -> go.Figure:
        selection = services.select(search)
        class_paths = normal_or_wait(services, selection).class_paths
        if not class_paths.counts.any():
            raise Nothing("No class has a class path: the model classifies no training image correctly.")
        return draw(class_paths, selection, theme)

    return figure


def _matrix(class_paths: ClassPaths, _selection: Selection, theme: str) -> go.Figure:
    return class_similarity(comparison.similarity(class_paths), class_paths.class_names, theme)


def _pair(class_paths: ClassPaths, selection: Selection, theme: str) -> go.Figure:
    pair = comparable_pair(class_paths, selection)
    first, second = (class_paths.paths[index] for index in pair)
    names = (class_paths.class_names[pair[0]], class_paths.class_names[pair[1]])
    return pair_similarity(first.layers, first.jaccard_per_layer(second), theme, names)


def _density(class_paths: ClassPaths, _selection: Selection, theme: str) -> go.Figure:
    known = known_classes(class_paths)
    overall = comparison.overall(class_paths)
    each = [class_paths.paths[index].density_per_layer() for index in known]
    mean = {layer: float(np.mean([densities[layer] for densities in each])) for layer in overall.layers}
    values = {"all classes together": overall.density_per_layer(), "mean of one class": mean}
    return density_per_layer(overall.layers, values, theme)


def _growth(class_paths: ClassPaths, _selection: Selection, theme: str) -> go.Figure:
    known = known_classes(class_paths)
    # A class without a path adds nothing to the union, so leaving its step out changes no other.
    growth = comparison.density_growth(class_paths)[known]
    return density_growth([class_paths.class_names[i] for i in known], growth, theme)


def _register_words(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.SUMMARY, "children"),
        Output(ids.MATRIX_NOTE, "children"),
        Output(ids.PAIR_NUMBERS, "children"),
        Output(ids.PAIR_EXAMPLES, "children"),
        Output(ids.PAIR_CHOICE, "children"),
        Output(ids.SHOWN_PAIR, "data"),
        Input(ids.SELECTION, "data"),
        Input(ids.PATHS, "data"),
        State(ids.FIRST, "value"),
        State(ids.SECOND, "value"),
    )
    def tell(search: str, _paths: object, *listed: str | None) -> tuple[object, ...]:
        try:
            selection = services.select(search)
            class_paths = normal_or_wait(services, selection).class_paths
        except (EngineError, Waiting):  # the errors above and the cards say so
            return None, None, None, None, no_update, no_update
        missing = missing_note(class_paths)
        note = f"Empty cells: {missing}" if missing else None
        pair = shown_pair(class_paths, selection)
        text = "-".join(map(str, pair)) if pair else None
        # The lists are laid out anew for the pair that is shown: their values are inputs of what would set them.
        known = pair is None or text == "-".join(map(str, listed))
        choice = no_update if known else pair_choice(class_paths.class_names, pair)
        return summary(class_paths), note, *_pair_words(services, class_paths, selection), choice, text


def _pair_words(services: Services, class_paths: ClassPaths, selection: Selection) -> tuple[object, object]:
    """The numbers and the examples of the pair that is shown."""
    pair = shown_pair(class_paths, selection)
    if pair is None:
        return None, None
    try:
        numbers: object = pair_numbers(class_paths, comparable_pair(class_paths, selection))
    except Nothing:  # the card says why
        numbers = None
    return numbers, pair_examples(services, selection, pair)
