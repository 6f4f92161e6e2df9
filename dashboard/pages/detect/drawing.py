"""The figures of the Detect page."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
from dash import Dash, Input

from dashboard.components.figure_card import Nothing, register_card
from dashboard.figures.auc_matrix import auc_matrix
from dashboard.figures.coefficients import coefficients
from dashboard.figures.roc import roc_curves
from dashboard.figures.scores import score_histogram
from dashboard.figures.sweep import sweep_curves
from dashboard.figures.theme import Theme
from dashboard.frame import THEME
from dashboard.pages.detect import cards, ids
from dashboard.pages.detect.view import NOTHING_TO_DETECT, View, method_labels, view_or_wait
from dashboard.services import Services
from dashboard.studies.words import method_label

DrawView = Callable[[View, Theme], go.Figure]


def register(app: Dash, services: Services) -> None:
    """Registers the figure cards."""
    inputs = [Input(ids.SELECTION, "data"), Input(THEME, "data"), Input(ids.OUTCOME, "data")]
    for card, draw in (
        (cards.MATRIX, _matrix),
        (cards.ROC, _roc),
        (cards.SCORES, _scores),
        (cards.COEFFICIENTS, _coefficients),
    ):
        register_card(app, services.drawings, card, _from_query(services, draw), inputs)

    def sweep(search: str, theme: Theme, _outcome: str | None, kind: str | None) -> go.Figure:
        return _sweep(view_or_wait(services, services.select(search)), theme, kind)

    register_card(app, services.drawings, cards.SWEEP, sweep, [*inputs, Input(ids.SWEPT, "value")])


def _from_query(services: Services, draw: DrawView) -> Callable[..., go.Figure]:
    return lambda search, theme, _outcome: draw(view_or_wait(services, services.select(search)), theme)


def _matrix(view: View, theme: Theme) -> go.Figure:
    if not view.report["table"]:
        raise Nothing(NOTHING_TO_DETECT)
    return auc_matrix(view.report["table"], method_labels(view.report), theme)


def _require_attack(view: View) -> None:
    if view.against is None:
        raise Nothing(NOTHING_TO_DETECT)


def _roc(view: View, theme: Theme) -> go.Figure:
    _require_attack(view)
    point = (float((view.normal > view.threshold).mean()), float((view.attacked > view.threshold).mean()))
    return roc_curves(view.details["curves"], theme, view.against, point)


def _scores(view: View, theme: Theme) -> go.Figure:
    _require_attack(view)
    return score_histogram(view.normal, view.attacked, view.threshold, theme, view.against or "")


def _coefficients(view: View, theme: Theme) -> go.Figure:
    found = view.details["coefficients"]
    if found is None:
        raise Nothing(
            f"{method_label(view.method)} has no coefficient a layer; only joint similarity has. Choose it above."
        )
    return coefficients(found["names"], np.array(found["values"]), theme)


def _sweep(view: View, theme: Theme, kind: str | None) -> go.Figure:
    sweeps = view.report["sweeps"]
    if not sweeps:
        raise Nothing("This study varied nothing. Tick what to vary in the form above and fit again.")
    kind = kind if kind in sweeps else next(iter(sweeps))
    points = sweeps[kind].get(view.method)
    if points is None:
        raise Nothing(f"Only the path's detectors are swept; {method_label(view.method)} is a baseline.")
    if not points:
        raise Nothing("No attack succeeded on an image to fit on, whatever was varied. Take more images.")
    return sweep_curves(kind, points, theme)
