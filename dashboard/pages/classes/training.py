"""Class paths over the training of a model that was hardened here: asked for, followed and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from dash import Dash, Input, Output, State, dcc, html
from dash.exceptions import PreventUpdate

from dashboard.components.controls import number_field
from dashboard.components.figure_card import Nothing, Waiting, figure_card, register_card
from dashboard.components.icons import icon
from dashboard.components.job_parts import fingerprint
from dashboard.components.job_tray import JOBS_ASKED, JOBS_TICK
from dashboard.figures.phases import training_phases
from dashboard.figures.theme import Theme
from dashboard.frame import THEME
from dashboard.pages.classes import cards, ids
from dashboard.pages.following import look_after
from dashboard.pages.submitting import submitted
from dashboard.selection import Parsed, Selection
from dashboard.services import Services
from dashboard.studies.harden_form import PHASED
from engine.errors import EngineError

_ASKED = ("link", "model", "phased")
NOT_YET = "Not looked at yet. It takes the class paths after every epoch that was kept: press the button."


def stores() -> list[dcc.Store]:
    """What the page remembers of it."""
    return [dcc.Store(id=name) for name in (ids.PHASES_SUBMITTED, ids.PHASES_FOLLOWED, ids.PHASES_OUTCOME)]


def asked_images(parsed: Parsed) -> int | None:
    """How many training images each checkpoint is asked to be looked at with; None for a number that is wrong."""
    return None if "phased" in parsed.errors else parsed.values["harden_form"].phased


def card(parsed: Parsed) -> html.Section:
    """The card, with the button that starts it."""
    images = number_field(
        ids.PHASED, PHASED.label, asked_images(parsed), invalid="phased" in parsed.errors, whole=True, width="5rem"
    )
    form = html.Div(["Class paths of ", images, " training images after every epoch"], id=ids.PHASES_FORM, hidden=True)
    button = html.Button(
        [icon("bi-play-fill", "me-1"), "Follow the training"],
        id=ids.PHASES,
        n_clicks=0,
        type="button",
        className="btn btn-sm btn-primary",
        hidden=True,
    )
    note = html.Span(id=ids.PHASES_NOTE, className="small", role="status")
    controls = html.Div([form, button, note], className="card-controls align-items-center")
    footer = html.Div(
        [
            html.Div(id=ids.PHASES_STATUS, role="status"),
            html.Div(id=ids.PHASES_WORDS, className="small text-body-secondary"),
        ]
    )
    return figure_card(cards.PHASES, controls=controls, footer=footer, span="span-12")


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""

    @app.callback(
        Output(ids.PHASES_SUBMITTED, "data"),
        Output(JOBS_ASKED, "data", allow_duplicate=True),
        Output(ids.PHASES_NOTE, "children"),
        Input(ids.PHASES, "n_clicks"),
        State(ids.SELECTION, "data"),
        prevent_initial_call=True,
    )
    def submit(clicks: int | None, search: str) -> tuple[object, object, object]:
        if not clicks:
            raise PreventUpdate
        parsed = services.parse(search)
        wrong = [text for name, text in parsed.errors.items() if name in _ASKED]
        # What is wrong about another page's choices does not matter here.
        answer = submitted(clicks, wrong, lambda: services.phases.submit(Selection(**{"image": "", **parsed.values})))
        return answer[:3]

    @app.callback(
        Output(ids.PHASES_STATUS, "children"),
        Output(ids.PHASES_OUTCOME, "data"),
        Output(ids.PHASES_FORM, "hidden"),
        Output(ids.PHASES, "hidden"),
        Output(ids.PHASES_WORDS, "children"),
        Output(ids.PHASES_FOLLOWED, "data"),
        Input(JOBS_TICK, "data"),
        Input(ids.SELECTION, "data"),
        State(ids.PHASES_FOLLOWED, "data"),
    )
    def follow(_tick: object, search: str, followed: str | None) -> tuple[object, ...]:
        parsed = _with_newest(services, services.parse(search))
        status, outcome = look_after(services.phases, parsed)
        nothing = bool(_reason(services, parsed))
        is_settled = nothing or status is not None or (outcome is not None and _is_asked_for(services, parsed))
        seen = fingerprint([status, outcome, nothing, is_settled, parsed.values.get("model")])
        if seen == followed:
            raise PreventUpdate
        return status, outcome, nothing, is_settled, _words(services, parsed) if outcome else None, seen

    def figure(search: str, theme: Theme, _outcome: str | None) -> go.Figure:
        parsed = _with_newest(services, services.parse(search))
        return training_phases(_report(services, parsed)["phases"], theme)

    inputs = [Input(ids.SELECTION, "data"), Input(THEME, "data"), Input(ids.PHASES_OUTCOME, "data")]
    register_card(app, services.drawings, cards.PHASES, figure, inputs)


def _with_newest(services: Services, parsed: Parsed) -> Parsed:
    """The fields, with the newest finished view of the model where they name none."""
    values = parsed.values
    if "model" not in values or "phases" in values or "phases" in parsed.errors:
        return parsed
    done = services.phases.finished(values["model"])
    return Parsed(values | {"phases": done[0].id}, parsed.errors) if done else parsed


def _reason(services: Services, parsed: Parsed) -> str:
    """Why there is no training to follow, "" if there is one."""
    return services.phases.reason(parsed.values["model"]) if "model" in parsed.values else "Choose a model."


def _is_asked_for(services: Services, parsed: Parsed) -> bool:
    """Whether what is shown was made with as many images as the form asks for: asking again would change nothing."""
    job = services.phases.job(parsed.values["phases"], parsed.values["model"])
    return asked_images(parsed) in (None, job.settings["phased"])


def _report(services: Services, parsed: Parsed) -> Mapping[str, Any]:
    """What the chosen job came to.

    Raises:
        Nothing: if none was asked for, with the reason.
        Waiting: while it runs.
        EngineError: if it cannot be read.
    """
    chosen = parsed.values.get("phases")
    if chosen is None or "model" not in parsed.values:
        raise Nothing(_reason(services, parsed) or NOT_YET)
    job = services.phases.job(chosen, parsed.values["model"])
    if job.has_ended and job.state != "done":
        raise Nothing("There is nothing to draw; below it says why.")
    report = services.phases.outcome(chosen, parsed.values["model"])
    if report is None:
        raise Waiting
    return report


def _words(services: Services, parsed: Parsed) -> str | None:
    """From the first epoch to the last, in numbers."""
    try:
        report = _report(services, parsed)
    except (EngineError, Nothing, Waiting):  # the status and the card say so
        return None
    first, last = report["phases"][0], report["phases"][-1]
    parts = [
        f"{name} from {_percent(was)} to {_percent(now)}"
        for name, was, now in (
            ("accuracy", first["accuracy"], last["accuracy"]),
            ("density", first["density"], last["density"]),
            ("mean similarity of two classes", _mean(first["similarity"]), _mean(last["similarity"])),
        )
    ]
    return (
        f"From epoch {first['epoch']} to {last['epoch']}: {', '.join(parts)}. {report['images']:,} training images, "
        f"{report['held_out']:,} held-out ones."
    )


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}\u00a0%"
