"""The figures of the Harden page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import plotly.graph_objects as go
from dash import Dash, Input

from dashboard.components.figure_card import Nothing, Waiting, register_card
from dashboard.figures.accuracy_curves import accuracy_by_strength
from dashboard.figures.learning_curves import accuracy_by_epoch, loss_by_epoch
from dashboard.figures.model_layers import models_by_layer
from dashboard.figures.theme import Theme
from dashboard.figures.unit_bars import sensitivity_curves
from dashboard.frame import THEME
from dashboard.pages.harden import cards, ids
from dashboard.pages.harden.running import job_of, wanted_epochs
from dashboard.pages.harden.view import View, layer_names, view_or_wait
from dashboard.services import Services

DrawCurves = Callable[[Mapping[str, Any], int, Theme], go.Figure]
DrawView = Callable[[View, Theme], go.Figure]


def register(app: Dash, services: Services) -> None:
    """Registers the figure cards."""
    shown = [Input(ids.SELECTION, "data"), Input(THEME, "data")]
    for card, draw in ((cards.LOSS, loss_by_epoch), (cards.ACCURACY, accuracy_by_epoch)):
        register_card(app, services.drawings, card, _learning(services, draw), [*shown, Input(ids.EPOCHS, "data")])
    compared = [*shown, Input(ids.COMPARISON_OUTCOME, "data")]
    for card, draw_view in (
        (cards.STRENGTH, _strength),
        (cards.LAYERS, _layers),
        (cards.UNITS, _units),
        (cards.DENSITY, _density),
    ):
        register_card(app, services.drawings, card, _compared(services, draw_view), compared)


def _learning(services: Services, draw: DrawCurves) -> Callable[..., go.Figure]:
    def figure(search: str, theme: Theme, _epochs: str | None) -> go.Figure:
        job = job_of(services, services.parse(search))
        curves = services.hardenings.curves(job) if job else None
        if job is None or not curves or not curves["epochs"]:
            raise Waiting
        return draw(curves, wanted_epochs(job, curves), theme)

    return figure


def _compared(services: Services, draw: DrawView) -> Callable[..., go.Figure]:
    return lambda search, theme, _outcome: draw(view_or_wait(services, services.select(search)), theme)


def _strength(view: View, theme: Theme) -> go.Figure:
    return accuracy_by_strength(view.curves, theme)


def _layers(view: View, theme: Theme) -> go.Figure:
    models = [
        {"label": inside["label"], "values": {one["layer"]: one["mean"] for one in inside["sensitivity"]}}
        for inside in view.insides
    ]
    return models_by_layer(layer_names(view.report), models, "mean sensitivity<br>of the layer's units", theme)


def _units(view: View, theme: Theme) -> go.Figure:
    return sensitivity_curves(str(view.layer), view.units(), (), theme)


def _density(view: View, theme: Theme) -> go.Figure:
    densities = [{"label": inside["label"], "values": inside["paths"]["density_per_layer"]} for inside in view.insides]
    layers = list(dict.fromkeys(layer for one in densities for layer in one["values"]))
    if not layers:
        raise Nothing("No model has a class path: none classifies a training image correctly.")
    return models_by_layer(layers, densities, "synapses on class paths", theme, is_share=True)
