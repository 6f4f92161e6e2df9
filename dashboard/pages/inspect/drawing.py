"""The figures of the Inspect page, each from the query string and the theme."""

from __future__ import annotations

from collections.abc import Callable

import plotly.graph_objects as go
from dash import Dash, Input

from dashboard.components.figure_card import Waiting, register_card
from dashboard.figures.density import density_per_layer
from dashboard.figures.images import image_figure, perturbation_figure
from dashboard.figures.path_graph import path_graph
from dashboard.figures.probabilities import top_probabilities
from dashboard.figures.similarity import layer_similarity
from dashboard.frame import THEME
from dashboard.pages.inspect import cards, ids
from dashboard.pages.inspect.verdict import densities
from dashboard.selection import Selection
from dashboard.services import Services
from dashboard.services.class_paths import Normal
from dashboard.services.inspection import Inspection


def normal_or_wait(services: Services, selection: Selection) -> Normal:
    """The class paths of a selection.

    Raises:
        Waiting: while they are not there.
    """
    normal = services.normal_paths.ask(selection.model, selection.theta).normal
    if normal is None:
        raise Waiting
    return normal


def register(app: Dash, services: Services) -> None:
    """Registers the page's figure cards."""
    selection, theme, paths = Input(ids.SELECTION, "data"), Input(THEME, "data"), Input(ids.PATHS, "data")

    def of_view(draw: Callable[[Inspection, str], go.Figure]) -> Callable[[str, str], go.Figure]:
        return lambda search, chosen: draw(services.inspections.inspect(services.select(search)), chosen)

    original = of_view(lambda view, chosen: image_figure(view.clean.pixels, chosen))
    adversarial = of_view(lambda view, chosen: image_figure(view.adversarial.pixels, chosen))
    register_card(app, cards.ORIGINAL, original, [selection, theme])
    register_card(app, cards.ADVERSARIAL, adversarial, [selection, theme])
    register_card(app, cards.PERTURBATION, of_view(_perturbation), [selection, theme])
    register_card(app, cards.PROBABILITIES, of_view(_probabilities), [selection, theme])
    register_card(app, cards.GRAPH, lambda *values: _graph(services, *values), [selection, theme])
    register_card(app, cards.DENSITY, lambda *values: _density(services, *values), [selection, theme])
    for rank, card in ((1, cards.RANK_1), (2, cards.RANK_2)):
        draw = _similarity_of_rank(services, rank)
        register_card(app, card, draw, [selection, theme, paths])


def _perturbation(view: Inspection, theme: str) -> go.Figure:
    return perturbation_figure(view.adversarial.pixels - view.clean.pixels, theme)[0]


def _probabilities(view: Inspection, theme: str) -> go.Figure:
    return top_probabilities(view.class_names, view.clean.probabilities, view.adversarial.probabilities, theme)


def _graph(services: Services, search: str, theme: str) -> go.Figure:
    selection = services.select(search)
    view = services.inspections.inspect(selection)
    clean = services.inspections.path(selection, view.clean, selection.rank)
    adversarial = services.inspections.path(selection, view.adversarial, selection.rank)
    return path_graph(clean, adversarial, selection.edges, selection.units, theme, class_names=view.class_names)


def _density(services: Services, search: str, theme: str) -> go.Figure:
    selection = services.select(search)
    view = services.inspections.inspect(selection)
    subjects = {"clean": view.clean, "adversarial": view.adversarial}
    if selection.pin:
        subjects["reference"] = services.inspections.subject(selection.model, selection.pin)
    paths = {name: services.inspections.path(selection, one, selection.rank) for name, one in subjects.items()}
    return density_per_layer(paths["clean"].layers, densities(paths), theme)


def _similarity_of_rank(services: Services, rank: int) -> Callable[[str, str, object], go.Figure]:
    def draw(search: str, theme: str, _paths: object) -> go.Figure:
        selection = services.select(search)
        normal = normal_or_wait(services, selection)
        similar = services.inspections.similarities(selection, normal.class_paths, rank)
        layers = normal.class_paths.paths[0].layers
        return layer_similarity(
            layers, similar.clean, similar.adversarial, normal.bands[rank], similar.reference, theme=theme
        )

    return draw
