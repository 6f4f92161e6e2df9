"""Callbacks that tie the form to the URL, put a study in the queue and follow it."""

from __future__ import annotations

import dash_bootstrap_components as dbc
from dash import ALL, Dash, Input, Output, State, dcc, html, no_update
from dash.exceptions import PreventUpdate

from dashboard.components.job_parts import fingerprint, progress_bar, progress_words, time_left
from dashboard.components.job_tray import JOBS_ASKED, JOBS_TICK
from dashboard.pages.detect import cards, ids
from dashboard.pages.detect.form import chosen_words
from dashboard.pages.detect.layout import SHELL
from dashboard.pages.shell import tie
from dashboard.selection import Parsed
from dashboard.services import Services
from dashboard.services.jobs.detection_settings import link
from dashboard.services.jobs.job import Job
from dashboard.studies.form import STUDY_FIELDS
from engine.errors import EngineError

EARLIER = 6
_ENDED = {"failed": "failed", "cancelled": "was cancelled", "interrupted": "was interrupted"}


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""
    SHELL.register(app, services)
    _register_browser_side(app)
    _register_words(app, services)
    _register_fit(app, services)
    _register_following(app, services)


def _register_browser_side(app: Dash) -> None:
    setting = {"type": ids.SETTING, "name": ALL}
    tie(
        app,
        "detect",
        Output(ids.SELECTION, "data"),
        Input(ids.THETA, "value"),
        Input(setting, "value"),
        Input(ids.ATTACKS, "value"),
        Input(ids.DETECTORS, "value"),
        Input(ids.BASELINES, "value"),
        Input(ids.SWEEPS, "value"),
        Input(ids.SUBMITTED, "data"),
        Input(cards.MATRIX.part("graph"), "clickData"),
        Input(ids.METHOD, "value"),
        Input(ids.AGAINST, "value"),
        Input(ids.THRESHOLD, "value"),
        State(setting, "id"),
        State(ids.LOOK, "data"),
        *SHELL.known(),
    )


def _register_words(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.CHOSEN, "children"),
        Output(ids.EARLIER, "children"),
        Input(ids.SELECTION, "data"),
        Input(ids.OUTCOME, "data"),
    )
    def tell(search: str, _outcome: str | None) -> tuple[object, object]:
        parsed = services.parse(search)
        form = parsed.values.get("study_form")
        words = "…" if form is None or "attacks" in parsed.errors else chosen_words(form)
        if "model" not in parsed.values:
            return words, None
        return words, _earlier(services.studies.finished(parsed.values["model"]), parsed.values.get("study"))


def _earlier(jobs: list[Job], shown: str | None) -> object:
    """Links to the studies of a model that are finished."""
    others = [job for job in jobs if job.id != shown][:EARLIER]
    if not others:
        return None
    links = [html.Li(dcc.Link(_title(job), href=link(job))) for job in others]
    return html.Details(
        [html.Summary(f"Earlier studies of this model ({len(others)})"), html.Ul(links, className="mb-0")],
        className="more",
        open=shown is None,
    )


def _title(job: Job) -> str:
    aucs = (job.summary or {}).get("mean AUC", {})
    best = f", mean AUC up to {max(aucs.values()):.3f}" if aucs else ""
    return f"{job.label}, {job.settings['images']} images{best}"


def _register_fit(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.SUBMITTED, "data"),
        Output(JOBS_ASKED, "data", allow_duplicate=True),
        Output(ids.FIT_NOTE, "children"),
        Output(ids.FORM, "open"),
        Input(ids.FIT, "n_clicks"),
        State(ids.SELECTION, "data"),
        prevent_initial_call=True,
    )
    def submit(clicks: int | None, search: str) -> tuple[object, ...]:
        if not clicks:
            raise PreventUpdate
        parsed = services.parse(search)
        asked = ("link", "model", "theta", "seed", *STUDY_FIELDS)
        wrong = [text for name, text in parsed.errors.items() if name in asked]
        if wrong:
            return no_update, no_update, _problem(" ".join(wrong)), True
        try:
            job = services.studies.submit(
                parsed.values["model"], parsed.values["theta"], parsed.values["seed"], parsed.values["study_form"]
            )
        except EngineError as error:
            return no_update, no_update, _problem(str(error)), True
        note = "This very study was made before; here is its outcome." if job.state == "done" else None
        is_open = False  # the form makes way for what follows
        return {"job": job.id, "click": clicks}, f"{job.id} {clicks}", note, is_open


def _problem(text: str) -> html.Span:
    return html.Span(text, className="text-danger-emphasis")


def _register_following(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.STATUS, "children"),
        Output(ids.OUTCOME, "data"),
        Output(ids.RESULTS, "hidden"),
        Output(ids.FOLLOWED, "data"),
        Input(JOBS_TICK, "data"),
        Input(ids.SELECTION, "data"),
        State(ids.FOLLOWED, "data"),
    )
    def follow(_tick: object, search: str, followed: str | None) -> tuple[object, ...]:
        status, token = _look_after(services, services.parse(search))
        seen = fingerprint([status, token])
        if seen == followed:
            raise PreventUpdate
        return status, token, token is None, seen


def _look_after(services: Services, parsed: Parsed) -> tuple[object, str | None]:
    """What is said about a study, and once it is finished a token that changes when its outcome does."""
    study, model = parsed.values.get("study"), parsed.values.get("model")
    if "study" in parsed.errors:  # it was removed, perhaps while this page was open
        return dbc.Alert(parsed.errors["study"], color="warning", class_name="mt-3"), None
    if study is None or model is None:
        return None, None
    try:
        job = services.studies.job(study, model)
        if job.state == "done":
            services.studies.outcome(study, model)
            return None, f"{job.id}|{job.ended}"
    except EngineError as error:
        return dbc.Alert(str(error), color="danger", class_name="mt-3"), None
    return _state_of(job), None


def _state_of(job: Job) -> object:
    """How far a study is, or why there is none."""
    where = dcc.Link("Jobs", href=f"/jobs?job={job.id}")
    if job.has_ended:
        reason = f": {job.error}" if job.error else "."
        text = [f"This study {_ENDED[job.state]}{reason} It can be run again on the page ", where, "."]
        return dbc.Alert(text, color="danger" if job.state == "failed" else "warning", class_name="mt-3")
    if job.state == "queued":
        words = "next in the queue" if job.position == 1 else f"number {job.position} in the queue"
    else:
        words = ", ".join(filter(None, (progress_words(job), time_left(job))))
    leave = "It goes on when you leave this page; it can be cancelled in the tray above and on the page "
    return html.Div(
        [
            html.Div([html.Strong(job.label), f": {words}"]),
            html.Div(progress_bar(job), className="my-2"),
            html.Div([leave, where, "."], className="small text-body-secondary"),
        ],
        className="panel mt-3",
    )
