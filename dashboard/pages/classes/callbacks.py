"""The callbacks of the Classes page."""

from __future__ import annotations

from collections.abc import Callable

import plotly.graph_objects as go
from dash import Dash, Input, Output, State, no_update

from dashboard.components.figure_card import Nothing, Waiting, register_card
from dashboard.figures.class_matrix import class_similarity
from dashboard.figures.density import density_growth, density_per_layer
from dashboard.figures.similarity import pair_similarity
from dashboard.frame import THEME
from dashboard.pages.classes import cards, ids, training
from dashboard.pages.classes.layout import SHELL, pair_choice
from dashboard.pages.classes.pair import comparable_pair, pair_examples, pair_numbers, shown_pair
from dashboard.pages.classes.summary import matrix_note, summary
from dashboard.pages.normal import normal_or_wait
from dashboard.pages.shell import tie
from dashboard.selection import Selection
from dashboard.services import Services
from dashboard.services.class_paths import Normal
from engine.errors import EngineError

DrawPaths = Callable[[Normal, Selection, str], go.Figure]


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
        normal = normal_or_wait(services, selection)
        if not normal.survey.counts.any():
            raise Nothing("No class has a class path: the model classifies no training image correctly.")
        return draw(normal, selection, theme)

    return figure


def _matrix(normal: Normal, _selection: Selection, theme: str) -> go.Figure:
    return class_similarity(normal.survey.similarity, normal.survey.class_names, theme)


def _pair(normal: Normal, selection: Selection, theme: str) -> go.Figure:
    pair = comparable_pair(normal.survey, selection)
    first, second = (normal.class_paths.paths[index] for index in pair)
    names = (normal.survey.class_names[pair[0]], normal.survey.class_names[pair[1]])
    return pair_similarity(first.layers, first.jaccard_per_layer(second), theme, names)


def _density(normal: Normal, _selection: Selection, theme: str) -> go.Figure:
    survey = normal.survey
    values = {
        "all classes together": survey.density_per_layer(),
        "mean of one class": survey.mean_density_per_layer(),
    }
    return density_per_layer(survey.layers, values, theme)


def _growth(normal: Normal, _selection: Selection, theme: str) -> go.Figure:
    known = normal.survey.known()
    # A class without a path adds nothing to the union, so leaving its step out changes no other.
    return density_growth([normal.survey.class_names[i] for i in known], normal.survey.growth[known], theme)


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
            normal = normal_or_wait(services, selection)
        except (EngineError, Waiting):  # the errors above and the cards say so
            return None, None, None, None, no_update, no_update
        pair = shown_pair(normal.survey, selection)
        text = "-".join(map(str, pair)) if pair else None
        # The lists are laid out anew for the pair that is shown: their values are inputs of what would set them.
        known = pair is None or text == "-".join(map(str, listed))
        choice = no_update if known else pair_choice(normal.survey.class_names, pair)
        told = summary(normal), matrix_note(normal)
        return *told, *_pair_words(services, normal, selection), choice, text


def _pair_words(services: Services, normal: Normal, selection: Selection) -> tuple[object, object]:
    """The numbers and the examples of the pair that is shown."""
    pair = shown_pair(normal.survey, selection)
    if pair is None:
        return None, None
    try:
        numbers: object = pair_numbers(normal, comparable_pair(normal.survey, selection))
    except Nothing:  # the card says why
        numbers = None
    return numbers, pair_examples(services, selection, pair)
