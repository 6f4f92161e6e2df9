"""Callbacks that tie the form to the URL, put a study in the queue and follow it."""

from __future__ import annotations

from dash import ALL, Dash, Input, Output, State
from dash.exceptions import PreventUpdate

from dashboard.components.job_tray import JOBS_ASKED, JOBS_TICK
from dashboard.pages.detect import cards, ids
from dashboard.pages.detect.form import chosen_words
from dashboard.pages.detect.layout import SHELL
from dashboard.pages.following import earlier, news
from dashboard.pages.shell import tie
from dashboard.pages.submitting import submitted
from dashboard.services import Services
from dashboard.services.jobs.detection_settings import link
from dashboard.services.jobs.job import Job
from dashboard.studies.form import STUDY_FIELDS


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
        return words, earlier(
            services.studies.finished(parsed.values["model"]), parsed.values.get("study"), _title, link
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
        return submitted(
            clicks,
            [text for name, text in parsed.errors.items() if name in asked],
            lambda: services.studies.submit(*(parsed.values[key] for key in ("model", "theta", "seed", "study_form"))),
            "This very study was made before; here is its outcome.",
        )


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
        return news(services.studies, services.parse(search), followed)
