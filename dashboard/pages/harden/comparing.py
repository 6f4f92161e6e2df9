"""Callbacks that offer models to compare, ask for a comparison and follow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dash import Dash, Input, Output, State
from dash.exceptions import PreventUpdate

from dashboard.components.job_tray import JOBS_ASKED, JOBS_TICK
from dashboard.pages.following import earlier, news
from dashboard.pages.harden import ids
from dashboard.pages.harden.asking import selection_of, wrong
from dashboard.pages.harden.beside import beside
from dashboard.pages.harden.page import COMPARED
from dashboard.pages.harden.words import comparison_title
from dashboard.pages.submitting import submitted
from dashboard.services import Services
from dashboard.services.jobs.comparison_settings import link
from dashboard.services.jobs.job import Job


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""

    @app.callback(
        Output(ids.field("beside"), "options"),
        Output(ids.field("beside"), "value"),
        Output(ids.COMPARISON_PART, "hidden"),
        Output(ids.SHOWN, "data"),
        Input(ids.OUTCOME, "data"),
        Input(ids.KEPT, "data"),
        Input(ids.REMOVED, "data"),
        State(ids.SELECTION, "data"),
        State(ids.SHOWN, "data"),
    )
    def offer(*arguments: object) -> tuple[object, ...]:
        search, known = arguments[-2:]
        found = beside(services, services.parse(str(search or "")))
        shown = {"beside": ",".join(found.ticked), "order": list(found.labels)}
        if shown == known:
            raise PreventUpdate
        options = [{"value": name, "label": label} for name, label in found.labels.items()]
        return options, found.ticked, not options, shown

    _register_submit(app, services)
    _register_following(app, services)


def _register_submit(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.submitted("comparison"), "data"),
        Output(JOBS_ASKED, "data", allow_duplicate=True),
        Output(ids.COMPARE_NOTE, "children"),
        Output(ids.COMPARISON, "open"),
        Input(ids.COMPARE, "n_clicks"),
        State(ids.SELECTION, "data"),
        State(ids.field("beside"), "value"),
        prevent_initial_call=True,
    )
    def submit(clicks: int | None, search: str, ticked: Sequence[str] | None) -> tuple[object, ...]:
        if not clicks:
            raise PreventUpdate
        parsed = services.parse(search)
        chosen = tuple(ticked or ())  # what is ticked from the start is not in the URL

        def submit_comparison() -> Job:
            form = replace(parsed.values["harden_form"], beside=chosen)
            return services.comparisons.submit(replace(selection_of(parsed), harden_form=form))

        errors = wrong(parsed, COMPARED) or ([] if chosen else ["Tick a model to compare with, one at least."])
        done = "This very comparison was made before; here is its outcome."
        return submitted(clicks, errors, submit_comparison, done)


def _register_following(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.COMPARISON_STATUS, "children"),
        Output(ids.COMPARISON_OUTCOME, "data"),
        Output(ids.RESULTS, "hidden"),
        Output(ids.COMPARISON_FOLLOWED, "data"),
        Input(JOBS_TICK, "data"),
        Input(ids.SELECTION, "data"),
        State(ids.COMPARISON_FOLLOWED, "data"),
    )
    def follow(_tick: object, search: str, followed: str | None) -> tuple[object, ...]:
        return news(services.comparisons, services.parse(search), followed)

    @app.callback(
        Output(ids.COMPARED_EARLIER, "children"),
        Input(ids.SELECTION, "data"),
        Input(ids.COMPARISON_OUTCOME, "data"),
    )
    def tell(search: str, _outcome: str | None) -> object:
        values: Mapping[str, object] = services.parse(search).values
        if "model" not in values:
            return None
        done = services.comparisons.finished(str(values["model"]))
        shown = values.get("comparison")
        return earlier(done, None if shown is None else str(shown), lambda job: comparison_title(services, job), link)
