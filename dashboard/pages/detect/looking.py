"""Callbacks that offer what of an outcome can be looked at closely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from dash import Dash, Input, Output, State, no_update

from dashboard.pages.detect import ids
from dashboard.pages.detect.view import View, method_labels, view_or_none
from dashboard.services import Services
from dashboard.studies.form import SWEPT

STEPS = 400


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""

    @app.callback(
        Output(ids.METHOD, "options"),
        Output(ids.METHOD, "value"),
        Output(ids.AGAINST, "options"),
        Output(ids.AGAINST, "value"),
        Output(ids.THRESHOLD, "min"),
        Output(ids.THRESHOLD, "max"),
        Output(ids.THRESHOLD, "step"),
        Output(ids.THRESHOLD, "value"),
        Output(ids.LOOK, "data"),
        Input(ids.SELECTION, "data"),
        Input(ids.OUTCOME, "data"),
        State(ids.LOOK, "data"),
    )
    def offer(search: str, _outcome: str | None, known: dict | None) -> Sequence[object]:
        found = view_or_none(services, search)
        if found is None:
            return [no_update] * 9
        selection, view = found
        look = {"study": view.study, "method": view.method, "against": view.against, "usual": view.usual_threshold}
        look["dragged"] = selection.threshold is not None
        if known and look == known | {"dragged": True}:  # the threshold is being dragged: the slider is left alone
            return [*[no_update] * 8, no_update if look == known else look]
        if look == known:
            return [no_update] * 9
        methods = [{"value": name, "label": text} for name, text in method_labels(view.report).items()]
        attacks = [{"value": name, "label": name} for name in view.details["curves"]]
        low, high = _extent(view)
        slider = (low, high, (high - low) / STEPS, view.threshold)
        return methods, view.method, attacks, view.against, *slider, look

    @app.callback(
        Output(ids.SWEPT, "options"),
        Output(ids.SWEPT, "value"),
        Input(ids.OUTCOME, "data"),
        State(ids.SELECTION, "data"),
        State(ids.SWEPT, "value"),
    )
    def offer_sweeps(_outcome: str | None, search: str, chosen: str | None) -> tuple[object, object]:
        found = view_or_none(services, search)
        if found is None:
            return no_update, no_update
        sweeps = found[1].report["sweeps"]
        options = [{"value": kind, "label": SWEPT[kind]} for kind in sweeps]
        return options, chosen if chosen in sweeps else next(iter(sweeps), None)


def _extent(view: View) -> tuple[float, float]:
    """From where the slider goes to where: all scores, and a little more."""
    scores = np.concatenate([view.normal, view.attacked, [view.threshold]])
    low, high = float(scores.min()), float(scores.max())
    margin = 0.02 * (high - low) or 0.01
    return low - margin, high + margin
