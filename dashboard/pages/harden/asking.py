"""Callbacks that tie the form to the URL, tell how long a hardening will take, ask for it and follow it."""

from __future__ import annotations

from dash import ALL, Dash, Input, Output, State
from dash.exceptions import PreventUpdate

from dashboard.components.job_parts import fingerprint
from dashboard.components.job_tray import JOBS_ASKED, JOBS_TICK
from dashboard.components.retry import ASK_AGAIN, DONE, retry_input, retry_output, working_words
from dashboard.pages.following import earlier, problem
from dashboard.pages.harden import ids
from dashboard.pages.harden.page import ASKED, SHELL
from dashboard.pages.harden.running import look
from dashboard.pages.harden.words import estimate_words, run_title
from dashboard.pages.shell import tie
from dashboard.pages.submitting import submitted
from dashboard.selection import Parsed, Selection
from dashboard.services import Services
from dashboard.services.computations import Pending
from dashboard.services.jobs.hardening_settings import hardening_settings, link
from dashboard.studies.harden_form import WITH
from engine.errors import EngineError


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""
    SHELL.register(app, services)
    _register_browser_side(app)
    _register_estimate(app, services)
    _register_submit(app, services)
    _register_following(app, services)


def _register_browser_side(app: Dash) -> None:
    every, stores = ids.field(ALL), ids.submitted(ALL)
    tie(
        app,
        "harden",
        Output(ids.SELECTION, "data"),
        Input(every, "value"),
        Input(stores, "data"),
        State(every, "id"),
        State(stores, "id"),
        State(ids.SHOWN, "data"),
        State(ids.LOOK, "data"),
        *SHELL.known(),
    )
    tie(app, "way", Output(ids.WAY_SENT, "data"), Input(ids.WAY, "value"), *SHELL.known())


def _register_estimate(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.ESTIMATE, "children"),
        retry_output(ids.ESTIMATE),
        Input(ids.SELECTION, "data"),
        Input(ids.OUTCOME, "data"),
        retry_input(ids.ESTIMATE),
    )
    def estimate(search: str, _outcome: str | None, _again: int | None) -> tuple[object, bool]:
        parsed = services.parse(search)
        if wrong(parsed, ASKED) or _is_asked_for(services, parsed):
            return None, DONE
        try:
            return estimate_words(services.estimates.estimate(selection_of(parsed))), DONE
        except Pending as pending:
            return f"Measuring how long it will take … {working_words(pending)}", ASK_AGAIN
        except EngineError as error:
            return problem(str(error)), DONE


def _register_submit(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.submitted("harden"), "data"),
        Output(JOBS_ASKED, "data", allow_duplicate=True),
        Output(ids.NOTE, "children"),
        Output(ids.FORM, "open"),
        Input(ids.ASK, "n_clicks"),
        State(ids.SELECTION, "data"),
        prevent_initial_call=True,
    )
    def submit(clicks: int | None, search: str) -> tuple[object, ...]:
        if not clicks:
            raise PreventUpdate
        parsed = services.parse(search)
        return submitted(
            clicks,
            wrong(parsed, ASKED),
            lambda: services.hardenings.submit(selection_of(parsed)),
            "This very training was done before; here is what came of it.",
        )


def _register_following(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.STATUS, "children"),
        Output(ids.OUTCOME, "data"),
        Output(ids.EPOCHS, "data"),
        Output(ids.CURVES, "hidden"),
        Output(ids.FOLLOWED, "data"),
        Input(JOBS_TICK, "data"),
        Input(ids.SELECTION, "data"),
        Input(ids.KEPT, "data"),
        State(ids.FOLLOWED, "data"),
    )
    def follow(_tick: object, search: str, _kept: object, followed: str | None) -> tuple[object, ...]:
        seen = look(services, services.parse(search))
        now = fingerprint([seen.status, seen.outcome, seen.epochs])
        if now == followed:
            raise PreventUpdate
        return seen.status, seen.outcome, seen.epochs, seen.epochs is None, now

    @app.callback(Output(ids.EARLIER, "children"), Input(ids.SELECTION, "data"), Input(ids.OUTCOME, "data"))
    def tell(search: str, _outcome: str | None) -> object:
        values = services.parse(search).values
        if "model" not in values:
            return None
        return earlier(services.hardenings.finished(values["model"]), values.get("harden"), run_title, link)


def wrong(parsed: Parsed, fields: tuple[str, ...]) -> list[str]:
    """What keeps something from being asked for, a sentence each; what other pages choose does not."""
    is_asked = fields is ASKED
    return [text for name, text in parsed.errors.items() if name in fields or (is_asked and name.startswith(WITH))]


def selection_of(parsed: Parsed) -> Selection:
    """The selection; what is wrong about another page's choices does not matter here."""
    return Selection(**{"image": "", **parsed.values})


def _is_asked_for(services: Services, parsed: Parsed) -> bool:
    """Whether the form asks for the very hardening that the page follows: how long that takes is seen there."""
    values = parsed.values
    if "harden" not in values:
        return False
    try:
        job = services.hardenings.job(values["harden"], values["model"])
        loaded = services.choices.get(values["model"])
        asked = hardening_settings(values["model"], loaded, values["harden_form"], values["seed"])
    except EngineError:
        return False
    return dict(job.settings) == asked
