"""The tray of jobs on every page: what waits and runs, what ended since the page was opened, and what to do with it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dash_bootstrap_components as dbc
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.exceptions import PreventUpdate

from dashboard.components.icons import icon
from dashboard.components.job_parts import (
    ORDER,
    fingerprint,
    order_button,
    progress_bar,
    progress_words,
    result_link,
    state_badge,
    time_left,
)
from dashboard.services import Services
from dashboard.services.jobs.job import Job
from engine.errors import InvalidInputError

#: A page that has submitted a job sets this to any new value: the tray then looks at once.
JOBS_ASKED = "jobs-asked"
#: Changes whenever the list should be read; the Jobs page follows it too.
JOBS_TICK = "jobs-tick"
#: What a button asks for: {"do": "cancel" | "again" | "remove", "job": ID}.
JOBS_ORDER = "jobs-order"
OPENER, TRAY, COUNT, LIST, SAID = "job-tray-open", "job-tray", "job-tray-count", "job-tray-list", "job-tray-said"
# What the page knows: {"active": ids, "ended": ids since the page was opened, "drawn": fingerprint}.
FOLLOWED = "jobs-followed"
NOTICES = "jobs-notices"
CLOCK, CLOCK_MS = "jobs-clock", 1000
RECENT = 5
Following = Mapping[str, Any]


def job_tray() -> html.Div:
    """The button with the number of jobs, and the panel it opens."""
    panel = dbc.Offcanvas(
        [html.Div(id=LIST), dcc.Link("All jobs", href="/jobs", className="d-inline-block mt-3", id="job-tray-all")],
        id=TRAY,
        title="Jobs",
        placement="end",
        is_open=False,
        labelledby=OPENER,
    )
    button = html.Button(
        [icon("bi-list-task"), html.Span("No jobs", id=COUNT, className="job-count")],
        id=OPENER,
        n_clicks=0,
        type="button",
        title="Jobs that wait or run",
        className="btn btn-sm btn-outline-secondary job-tray-button",
    )
    stores = [dcc.Store(id=name) for name in (JOBS_ASKED, JOBS_TICK, JOBS_ORDER, FOLLOWED, NOTICES)]
    said = html.Span("", id=SAID, className="visually-hidden", role="status", **{"aria-live": "polite"})
    return html.Div([*stores, dcc.Interval(id=CLOCK, interval=CLOCK_MS), button, said, panel])


def register_job_tray(app: Dash, services: Services) -> None:
    """Registers the tray's callbacks, and the one that does what the buttons of jobs ask for."""
    _register_browser_side(app)

    @app.callback(
        Output(COUNT, "children"),
        Output(OPENER, "className"),
        Output(SAID, "children"),
        Output(LIST, "children"),
        Output(FOLLOWED, "data"),
        Output(NOTICES, "data"),
        Input(JOBS_TICK, "data"),
        State(FOLLOWED, "data"),
        prevent_initial_call=True,
    )
    def look(_tick: object, followed: Following | None) -> tuple[object, ...]:
        view = tray_view(services, followed or {})
        drawn = fingerprint([view.count, view.entries])
        if followed and drawn == followed.get("drawn"):
            raise PreventUpdate
        known = {"active": view.active, "ended": view.ended, "drawn": drawn}
        said = view.count if followed else no_update
        muted = "btn btn-sm btn-outline-secondary job-tray-button" + ("" if view.active else " is-muted")
        return view.count, muted, said, view.entries, known, view.notices or no_update

    @app.callback(
        Output(JOBS_ASKED, "data", allow_duplicate=True),
        Input(JOBS_ORDER, "data"),
        prevent_initial_call=True,
    )
    def obey(order: object) -> dict[str, str]:
        return do_order(services, order)


def _register_browser_side(app: Dash) -> None:
    def browser(function: str, *parts: object, initial: bool = True) -> None:
        app.clientside_callback(ClientsideFunction("jobs", function), *parts, prevent_initial_call=not initial)

    buttons = {"type": ORDER, "do": ALL, "job": ALL, "place": ALL}
    tick = Output(JOBS_TICK, "data")
    browser(
        "tick",
        tick,
        Input(CLOCK, "n_intervals"),
        Input(JOBS_ASKED, "data"),
        Input(TRAY, "is_open"),
        State(FOLLOWED, "data"),
    )
    browser("order", Output(JOBS_ORDER, "data"), Input(buttons, "n_clicks"), initial=False)
    browser("notify", Input(NOTICES, "data"), initial=False)
    browser("leave", Input(JOBS_ASKED, "data"), initial=False)
    app.clientside_callback(
        ClientsideFunction("figures", "open"),
        Output(TRAY, "is_open"),
        Input(OPENER, "n_clicks"),
        prevent_initial_call=True,
    )


def do_order(services: Services, order: object) -> dict[str, str]:
    """Does what a button asks for.

    Returns:
        what was done, with a number of its own: a new value for :data:`JOBS_ASKED`.

    Raises:
        UnknownNameError: if there is no such job.
        EngineError: if it cannot be done.
    """
    jobs = services.jobs
    actions = {"cancel": jobs.cancel, "again": jobs.run_again, "remove": jobs.remove}
    do, job_id = (order.get("do"), order.get("job")) if isinstance(order, dict) else (None, None)
    if do not in actions:
        raise InvalidInputError(f"A job can be asked for: {', '.join(actions)}; got {str(do)[:60]!r}.")
    actions[do](str(job_id))
    return {"do": do, "job": str(job_id), "number": uuid.uuid4().hex}


@dataclass(frozen=True, slots=True)
class TrayView:
    """What the tray shows.

    Attributes:
        count: words for the number of jobs that wait or run.
        entries: the list.
        active: ids of jobs that wait or run.
        ended: ids of the last jobs that ended while the page was open, the newest first.
        notices: what the browser tells of jobs that have ended since the last look.
    """

    count: str
    entries: list[object]
    active: list[str]
    ended: list[str]
    notices: list[dict[str, str]]


def tray_view(services: Services, followed: Following) -> TrayView:
    """Reads the list of jobs.

    Args:
        services: of the application.
        followed: what the page knew before.
    """
    jobs = {job.id: job for job in services.jobs.jobs()}
    active = [job for job in jobs.values() if not job.has_ended]
    before = [name for name in followed.get("active", ()) if name in jobs]
    fresh = [jobs[name] for name in before if jobs[name].has_ended]
    earlier = [jobs[name] for name in followed.get("ended", ()) if name in jobs and jobs[name].has_ended]
    recent = [*fresh, *(job for job in earlier if job not in fresh)][:RECENT]
    notices = [_notice(services, job) for job in fresh if job.state != "cancelled"]
    return TrayView(
        count_words(len(active)),
        _entries(services, active, recent),
        [job.id for job in active],
        [job.id for job in recent],
        notices,
    )


def count_words(number: int) -> str:
    """The number of jobs that wait or run."""
    return "No jobs" if number == 0 else f"{number} job{'' if number == 1 else 's'}"


def _entries(services: Services, active: Sequence[Job], recent: Sequence[Job]) -> list[object]:
    parts: list[object] = [] if active else [html.P("No job waits or runs.", className="text-body-secondary")]
    parts += [html.Ul([_entry(services, job) for job in active], className="job-list")]
    if recent:
        parts += [html.H3("Just ended", className="h6 mt-3")]
        parts += [html.Ul([_entry(services, job) for job in recent], className="job-list")]
    return parts


def _entry(services: Services, job: Job) -> html.Li:
    head = html.Div([_title(services, job), *([] if job.has_ended else [order_button("cancel", job, "tray")])])
    words = [state_badge(job), time_left(job)]
    parts: list[object] = [head, html.Div([html.Span(word) for word in words if word], className="job-facts")]
    if job.state == "running":
        parts += [progress_bar(job), html.Div(progress_words(job), className="job-message")]
    if job.error:
        parts.append(html.Div(job.error, className="job-message"))
    return html.Li(parts, key=job.id, id=f"tray-{job.id}")


def _title(services: Services, job: Job) -> dcc.Link:
    return dcc.Link(job.label, href=_address(services, job), id=f"tray-link-{job.id}", className="job-label")


def _address(services: Services, job: Job) -> str:
    """The result of a job, or its place on the Jobs page."""
    return result_link(services.jobs.kinds, job) or f"/jobs?job={job.id}"


def _notice(services: Services, job: Job) -> dict[str, str]:
    done = job.state == "done"
    text = f"Done: {job.label}" if done else f"{job.state.capitalize()}: {job.label} — {job.error}"
    return {
        "key": f"{job.id} {job.ended}",
        "text": text,
        "color": "success" if done else "danger",
        "href": _address(services, job),
        "link": "Open the result" if result_link(services.jobs.kinds, job) else "See the job",
    }
