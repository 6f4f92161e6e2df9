"""The verdict of a saved detector on the image and its attacked copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import dash_bootstrap_components as dbc
import numpy as np
import plotly.graph_objects as go
from dash import Dash, Input, Output, html

from dashboard.components.figure_card import Nothing, register_card
from dashboard.components.retry import ASK_AGAIN, DONE, retry_input, retry_output, working_words
from dashboard.figures.contributions import contributions
from dashboard.figures.theme import Theme
from dashboard.frame import THEME
from dashboard.pages.inspect import cards, ids
from dashboard.selection import Selection, SelectionError
from dashboard.services import Services
from dashboard.services.computations import Pending
from dashboard.services.inspection import Subject
from dashboard.services.studies import Judgement
from dashboard.studies.words import adaptive_line
from engine.detection.catalogue import detectors
from engine.detection.explanation import Explanation
from engine.errors import EngineError

NAMED = 2


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""

    @app.callback(
        Output(ids.JUDGED, "children"),
        retry_output(ids.JUDGED),
        Input(ids.SELECTION, "data"),
        retry_input(ids.JUDGED),
    )
    def judge(search: str, _again: int | None) -> tuple[object, bool]:
        try:
            selection = services.select(search)
            if selection.detector is None:
                return None, DONE
            return _verdict(services, selection, selection.detector), DONE
        except SelectionError:
            return None, DONE
        except Pending as pending:
            return working_words(pending), ASK_AGAIN
        except EngineError as error:
            return dbc.Alert(str(error), color="danger", class_name="m-0"), DONE

    def draw(search: str, theme: Theme) -> go.Figure:
        selection = services.select(search)
        if selection.detector is None:
            raise Nothing("No detector is chosen.")
        found = judgement(services, selection, _attacked(services, selection)).explanation
        return contributions(found.names, found.contributions, theme)

    register_card(app, services.drawings, cards.DETECTOR, draw, [Input(ids.SELECTION, "data"), Input(THEME, "data")])


def judgement(services: Services, selection: Selection, subject: Subject) -> Judgement:
    """What the chosen detector says of an image.

    Raises:
        Pending: while it, or the class paths that it needs, are being computed.
        EngineError: if the detector cannot be used here.
    """
    assert selection.detector is not None
    card = services.studies.card(selection.model, selection.detector)
    work = services.normal_paths.ask(selection.model, card.theta)
    if work.error is not None:
        raise EngineError(work.error)
    if work.normal is None:
        raise Pending(work.fraction, f"class paths at θ = {card.theta:g}, {work.message}")
    found = services.studies.judge(selection.model, selection.detector, subject, work.normal.class_paths)
    own = own_threshold(selection)
    return found if own is None else replace(found, explanation=replace(found.explanation, threshold=own))


def own_threshold(selection: Selection) -> float | None:
    """The threshold that was dragged on the Detect page, where it is that of the detector that judges here."""
    looked_at = (selection.study, selection.method)
    return selection.threshold if looked_at == selection.detector else None


def _attacked(services: Services, selection: Selection) -> Subject:
    try:
        return services.inspections.inspect(selection).adversarial
    except EngineError as error:
        raise Nothing("The attack cannot run with these settings; the verdict above says why.") from error


def _verdict(services: Services, selection: Selection, chosen: tuple[str, str]) -> list[object]:
    view = services.inspections.inspect(selection)
    attacked, clean = (judgement(services, selection, one) for one in (view.adversarial, view.clean))
    told, card = attacked.explanation, attacked.card
    parts: list[object] = [
        html.Strong(detectors[chosen[1]].label),
        " calls the attacked image ",
        _called(told),
        f": score {told.score:.3g}, {'your ' if own_threshold(selection) is not None else ''}threshold "
        f"{told.threshold:.3g}. {_layers(told)}It calls the original ",
        _called(clean.explanation),
        f" (score {clean.explanation.score:.3g}). ",
        adaptive_line(card.adaptive, chosen[1]),
    ]
    source, _, number = selection.image.partition(":")
    if source == "test" and int(number) in card.train_images:
        parts.append(" The detector was fitted on this image, so that its verdict on it says little.")
    return parts


def _called(found: Explanation) -> html.Strong:
    if found.is_flagged:
        return html.Strong("adversarial", className="text-adversarial")
    return html.Strong("normal", className="text-clean")


def _layers(found: Explanation) -> str:
    """The layers that speak most for the verdict, both ranks together."""
    totals = layer_totals(found)
    sign = 1 if found.is_flagged else -1
    speaking = sorted((layer for layer in totals if sign * totals[layer] > 0), key=lambda one: -sign * totals[one])
    if not speaking:
        return ""
    named = speaking[:NAMED]
    return f"{' and '.join(named)} {'speaks' if len(named) == 1 else 'speak'} most for that. "


def layer_totals(found: Explanation) -> Mapping[str, float]:
    """What each layer adds to the score, its ranks together."""
    totals: dict[str, float] = {}
    for name, value in zip(found.names, np.asarray(found.contributions).tolist(), strict=True):
        layer = name.rpartition(", ")[0]
        totals[layer] = totals.get(layer, 0.0) + value
    return totals
