"""How a page follows the study that its URL names: what is said while it waits or runs, and the earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import dash_bootstrap_components as dbc
from dash import dcc, html
from dash.exceptions import PreventUpdate

from dashboard.components.job_parts import fingerprint, progress_bar, progress_words, time_left
from dashboard.selection import Parsed
from dashboard.services.jobs.job import Job
from dashboard.services.outcomes import Outcomes
from engine.errors import EngineError

EARLIER = 6
_ENDED = {"failed": "failed", "cancelled": "was cancelled", "interrupted": "was interrupted"}


def look_after(studies: Outcomes, parsed: Parsed) -> tuple[object, str | None]:
    """What is said about a study, and once it is finished a token that changes when its outcome does."""
    study, model = parsed.values.get(studies.field), parsed.values.get("model")
    if studies.field in parsed.errors:  # it was removed, perhaps while this page was open
        return dbc.Alert(parsed.errors[studies.field], color="warning", class_name="mt-3"), None
    if study is None or model is None:
        return None, None
    try:
        job = studies.job(study, model)
        if job.state == "done":
            studies.outcome(study, model)
            return None, f"{job.id}|{job.ended}"
    except EngineError as error:
        return dbc.Alert(str(error), color="danger", class_name="mt-3"), None
    return _state_of(job), None


def news(studies: Outcomes, parsed: Parsed, followed: str | None) -> tuple[object, str | None, bool, str]:
    """What a callback tells that follows a study: its status, its token, whether the results stay hidden, and a mark.

    Args:
        studies: of the study's kind.
        parsed: the URL, that names it.
        followed: the mark of what was told last.

    Raises:
        PreventUpdate: if nothing has changed since.
    """
    status, token = look_after(studies, parsed)
    mark = fingerprint([status, token])
    if mark == followed:
        raise PreventUpdate
    return status, token, token is None, mark


def earlier(jobs: Sequence[Job], shown: str | None, title: Callable[[Job], str], link: Callable[[Job], str]) -> object:
    """Links to the studies of a model that are finished, but for the one that is shown."""
    others = [job for job in jobs if job.id != shown][:EARLIER]
    if not others:
        return None
    links = [html.Li(dcc.Link(title(job), href=link(job))) for job in others]
    return html.Details(
        [html.Summary(f"Earlier studies of this model ({len(others)})"), html.Ul(links, className="mb-0")],
        className="more",
        open=shown is None,
    )


def problem(text: str) -> html.Span:
    """What keeps a study from being asked for."""
    return html.Span(text, className="text-danger-emphasis")


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
