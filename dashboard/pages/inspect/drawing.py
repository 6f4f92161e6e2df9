"""The figures of the Inspect page, each from the query string and the theme."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import plotly.graph_objects as go
from dash import Dash, Input

from dashboard.components.figure_card import Nothing, register_card
from dashboard.figures.bundles import ADVERSARIAL, CLEAN
from dashboard.figures.density import density_per_layer
from dashboard.figures.images import image_figure, perturbation_figure
from dashboard.figures.labels import shorten
from dashboard.figures.path_graph import path_graph
from dashboard.figures.probabilities import top_probabilities
from dashboard.figures.regions import heat_over
from dashboard.figures.similarity import layer_similarity
from dashboard.frame import THEME
from dashboard.pages.inspect import cards, ids
from dashboard.pages.inspect.numbers import densities
from dashboard.pages.normal import normal_or_wait
from dashboard.selection import Selection
from dashboard.services import Services
from dashboard.services.class_paths import Normal
from dashboard.services.inspection import Inspection, Subject
from engine.errors import EngineError

Draw = Callable[[Services, Selection, str], go.Figure]
# With three bars a class, more classes than this would not fit the card.
TOP, TOP_WITH_REFERENCE = 5, 2


def register(app: Dash, services: Services) -> None:
    """Registers the page's figure cards."""
    selection, theme, paths = Input(ids.SELECTION, "data"), Input(THEME, "data"), Input(ids.PATHS, "data")
    drawn: tuple[tuple[cards.Card, Draw], ...] = (
        (cards.ORIGINAL, _original),
        (cards.ADVERSARIAL, _adversarial),
        (cards.PERTURBATION, _perturbation),
        (cards.PROBABILITIES, _probabilities),
        (cards.GRAPH, _graph),
        (cards.DENSITY, _density),
        (cards.EVIDENCE_CLEAN, _evidence_in(CLEAN)),
        (cards.EVIDENCE_ADVERSARIAL, _evidence_in(ADVERSARIAL)),
    )
    for card, draw in drawn:
        register_card(app, services.drawings, card, _from_query(services, draw), [selection, theme])
    for rank, card in ((1, cards.RANK_1), (2, cards.RANK_2)):
        register_card(
            app, services.drawings, card, _from_query(services, _similarity_of_rank(rank)), [selection, theme, paths]
        )


def _from_query(services: Services, draw: Draw) -> Callable[..., go.Figure]:
    return lambda search, theme, *_: draw(services, services.select(search), theme)


def _attacked(services: Services, selection: Selection) -> Inspection:
    """The image and its attacked copy.

    Raises:
        EngineError: if the model cannot answer.
        Nothing: if the attack cannot run; that is told once, in the verdict.
    """
    services.inspections.subject(selection.model, selection.image)
    try:
        return services.inspections.inspect(selection)
    except EngineError as error:
        raise Nothing("The attack cannot run with these settings; the verdict above says why.") from error


def _pinned(services: Services, selection: Selection) -> Subject | None:
    return services.inspections.subject(selection.model, selection.pin) if selection.pin else None


def _evidence_in(place: int) -> Draw:
    """The figure of where one of the two images has its evidence."""

    def draw(services: Services, selection: Selection, theme: str) -> go.Figure:
        view = _attacked(services, selection)
        heat = services.unit_views.grad_cam(selection).maps
        pixels = (view.clean, view.adversarial)[place].pixels
        return heat_over(pixels, heat[place], float(heat.max()), theme)

    return draw


def _original(services: Services, selection: Selection, theme: str) -> go.Figure:
    return image_figure(services.inspections.subject(selection.model, selection.image).pixels, theme)


def _adversarial(services: Services, selection: Selection, theme: str) -> go.Figure:
    return image_figure(_attacked(services, selection).adversarial.pixels, theme)


def _perturbation(services: Services, selection: Selection, theme: str) -> go.Figure:
    view = _attacked(services, selection)
    return perturbation_figure(view.adversarial.pixels - view.clean.pixels, theme)[0]


def _probabilities(services: Services, selection: Selection, theme: str) -> go.Figure:
    view, pinned = _attacked(services, selection), _pinned(services, selection)
    before, after = view.clean.probabilities, view.adversarial.probabilities
    if pinned is None:
        return top_probabilities(view.class_names, before, after, theme, TOP)
    return top_probabilities(view.class_names, before, after, theme, TOP_WITH_REFERENCE, pinned.probabilities)


def _graph(services: Services, selection: Selection, theme: str) -> go.Figure:
    view = _attacked(services, selection)
    clean = services.inspections.path(selection, view.clean, selection.rank)
    adversarial = services.inspections.path(selection, view.adversarial, selection.rank)
    return path_graph(clean, adversarial, selection.edges, selection.units, theme, class_names=view.class_names)


def _density(services: Services, selection: Selection, theme: str) -> go.Figure:
    view, pinned = _attacked(services, selection), _pinned(services, selection)
    subjects = {"clean": view.clean, "adversarial": view.adversarial}
    if pinned is not None:
        subjects["reference"] = pinned
    paths = {name: services.inspections.path(selection, one, selection.rank) for name, one in subjects.items()}
    return density_per_layer(paths["clean"].layers, densities(paths), theme)


def _similarity_of_rank(rank: int) -> Draw:
    def draw(services: Services, selection: Selection, theme: str) -> go.Figure:
        normal = normal_or_wait(services, selection)
        view = _attacked(services, selection)
        similar = services.inspections.similarities(selection, normal.class_paths, rank)
        subjects = {"clean": view.clean, "adversarial": view.adversarial, "reference": _pinned(services, selection)}
        without = _without_path(normal, subjects, rank)
        lines = {name: None if name in without else getattr(similar, name) for name in subjects}
        return layer_similarity(
            normal.class_paths.paths[0].layers,
            band=normal.bands[rank],
            theme=theme,
            band_images=normal.band_images,
            notes=_notes(without),
            **lines,
        )

    return draw


def _notes(without: Mapping[str, str]) -> list[str]:
    """Which lines are left out, short enough for the narrowest card."""
    each = [f"{name}: {shorten(class_name, 18)}" for name, class_name in without.items()]
    return ["no class path:", *each] if each else []


def _without_path(normal: Normal, subjects: dict[str, Subject | None], rank: int) -> dict[str, str]:
    """The images whose class has no path to compare with, and that class; similarity with nothing is no number."""
    starts = {name: int(one.ranking[rank - 1]) for name, one in subjects.items() if one is not None}
    counts, names = normal.class_paths.counts, normal.class_paths.class_names
    return {name: names[start] for name, start in starts.items() if not counts[start]}
