"""The figures of the Route page."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
from dash import Dash, Input

from dashboard.components.figure_card import Card, Nothing, register_card
from dashboard.figures.damping import weakening_curves
from dashboard.figures.hardness import hardness_groups
from dashboard.figures.intervened import intervened_probabilities
from dashboard.figures.intervention_bars import deactivation_bars, repair_bars
from dashboard.figures.on_off import on_off
from dashboard.figures.path_change import path_change
from dashboard.figures.probabilities import top_probabilities
from dashboard.figures.split_maps import split_maps
from dashboard.figures.theme import Theme
from dashboard.frame import THEME
from dashboard.pages.route import cards
from dashboard.pages.route.page import PAGE, SHELL
from dashboard.pages.route.view import Report, connection_of, report_or_none, report_or_wait
from dashboard.pages.route.whole_map import whole_map
from dashboard.selection import Selection
from dashboard.services import Services
from dashboard.services.interventions import NotConnectedError

NOTHING_PICKED = "Choose units beside, by the buttons or by clicks on the map; then this shows what changes."
DrawLive = Callable[[Services, Selection, Theme], go.Figure]
DrawStudy = Callable[[Report, Selection, Theme], go.Figure]


def register(app: Dash, services: Services) -> None:
    """Registers the figure cards."""
    inputs = [Input(SHELL.part("selection"), "data"), Input(THEME, "data"), Input(PAGE.part("outcome"), "data")]
    live: tuple[tuple[Card, DrawLive], ...] = (
        (cards.MAP, _map),
        (cards.LIVE, _probabilities),
        (cards.PATHS, _paths),
        (cards.CAM, _maps),
    )
    for card, draw in live:
        # What is seen of one image does not depend on the study, but for the map.
        own = inputs if card is cards.MAP else inputs[:2]
        register_card(app, services.drawings, card, _of_image(services, draw), own)
    studied: tuple[tuple[Card, DrawStudy], ...] = (
        (cards.SENSITIVITY, lambda report, _, theme: on_off(report["contrast"], "sensitivity", theme)),
        (cards.GRADIENT, lambda report, _, theme: on_off(report["contrast"], "gradient", theme)),
        (cards.SINGLE, lambda report, _, theme: _repaired(report, "single", theme)),
        (cards.CUMULATIVE, lambda report, _, theme: _repaired(report, "cumulative", theme)),
        (cards.DEACTIVATION, lambda report, _, theme: deactivation_bars(report["deactivation"], theme)),
        (cards.WEAKENING, _weakened),
        (cards.HARDNESS, _hardness),
    )
    for card, of_study in studied:
        register_card(app, services.drawings, card, _of_study(services, of_study), inputs)


def _of_image(services: Services, draw: DrawLive) -> Callable[..., go.Figure]:
    def figure(search: str, theme: Theme, *_outcome: str | None) -> go.Figure:
        try:
            return draw(services, services.select(search), theme)
        except NotConnectedError as error:
            raise Nothing(str(error)) from error

    return figure


def _of_study(services: Services, draw: DrawStudy) -> Callable[..., go.Figure]:
    def figure(search: str, theme: Theme, _outcome: str | None) -> go.Figure:
        selection = services.select(search)
        return draw(report_or_wait(services, selection), selection, theme)

    return figure


def _map(services: Services, selection: Selection, theme: Theme) -> go.Figure:
    route = services.interventions.route(selection)
    layers = services.interventions.layers(selection.model)
    return whole_map(layers, report_or_none(services, selection), route, dict(selection.picked), theme)


def _probabilities(services: Services, selection: Selection, theme: Theme) -> go.Figure:
    view = services.inspections.inspect(selection)
    seen = (view.clean.probabilities, view.adversarial.probabilities)
    changed = services.interventions.intervened(selection)
    if changed is None:
        return top_probabilities(view.class_names, *seen, theme, 2)
    return intervened_probabilities(view.class_names, *seen, changed.adversarial, theme, 2)


def _paths(services: Services, selection: Selection, theme: Theme) -> go.Figure:
    change = services.interventions.path_change(selection)
    if change is None:
        raise Nothing(NOTHING_PICKED)
    return path_change(change.before.layers, change.counts, theme)


def _maps(services: Services, selection: Selection, theme: Theme) -> go.Figure:
    view, maps = services.inspections.inspect(selection), services.interventions.split_maps(selection)
    rows = [
        f"{kind}: {view.class_names[number]}"
        for kind, number in zip(("clean", "attacked"), maps.classes.tolist(), strict=True)
    ]
    images = np.stack([view.clean.pixels, view.adversarial.pixels])
    return split_maps(images, maps.chosen, maps.others, rows, maps.scale, theme)


def _repaired(report: Report, kind: str, theme: Theme) -> go.Figure:
    if not report["transplant"]["misled"]:
        raise Nothing("The attack misled no test image of this study, so there is nothing to repair.")
    return repair_bars(report["transplant"][kind], theme)


def _weakened(report: Report, selection: Selection, theme: Theme) -> go.Figure:
    return weakening_curves(connection_of(report, selection.layer), theme)


def _hardness(report: Report, _selection: Selection, theme: Theme) -> go.Figure:
    fgsm = report["hardness"]["fgsm"]
    return hardness_groups(fgsm["groups"], fgsm["epsilon"], theme, fgsm["counts"])
