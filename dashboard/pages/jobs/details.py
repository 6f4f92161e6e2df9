"""The details of one job: when it ran, what it was asked for, what it said."""

from __future__ import annotations

import re
from collections.abc import Sequence

import dash_bootstrap_components as dbc
from dash import html

from dashboard.components.job_parts import kind_label, moment_text, state_badge, took
from dashboard.pages.jobs.words import plain, settings_in_words, words_of
from dashboard.services import Services
from dashboard.services.jobs.job import Job
from engine.errors import EngineError

LOG_LINES = 200
# A traceback is for who runs the server: it tells of its files and may quote what it was given.
_HIDDEN = "    … the traceback is in the file log.txt of this job's folder, on the server"
_STAMPED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def checked(services: Services, job_id: str) -> Job | None:
    """A job whose result, if it has one, was compared with its checksums; a damaged one is set aside meanwhile."""
    job = find(services, job_id)
    if job is None or job.state != "done":
        return job
    try:
        services.jobs.result(job)
    except EngineError:  # the job says so from now on
        return find(services, job_id)
    return job


def find(services: Services, job_id: str | None) -> Job | None:
    """A job, or None if there is none of that id."""
    try:
        return services.jobs.job(job_id) if job_id else None
    except EngineError:
        return None


def about(services: Services, job: Job) -> list[object]:
    """Everything about a job but its log."""
    kind = kind_label(services.jobs.kinds, job)
    heading = html.Div([html.H2(job.label, className="m-0"), state_badge(job)], className="job-heading")
    error = dbc.Alert(job.error, color="danger", class_name="mt-2 mb-0 py-2") if job.error else None
    tables = [_table("Times", _times(job)), _table(f"Settings of {kind}", settings_in_words(services, job))]
    if job.summary:
        tables.append(_table("Result", [(words_of(name), plain(value)) for name, value in job.summary.items()]))
    return [part for part in (heading, error, html.Div(tables, className="job-tables")) if part is not None]


def log_text(services: Services, job: Job | None) -> str:
    """The last lines of a job's log, without tracebacks."""
    if job is None:
        return ""
    try:
        lines = services.jobs.log(job.id, 5 * LOG_LINES)
    except EngineError as error:
        return str(error)
    return "\n".join(_without_tracebacks(lines)[-LOG_LINES:]) or "Nothing yet."


def _without_tracebacks(lines: Sequence[str]) -> list[str]:
    kept: list[str] = []
    # The first lines may be the rest of a traceback whose beginning is too far back.
    hidden = len(lines) == 5 * LOG_LINES
    for line in lines:
        if _STAMPED.match(line):
            hidden = False
        elif "Traceback (most recent call last)" in line and not hidden:
            hidden = True
            kept.append(_HIDDEN)
        if not hidden:
            kept.append(line)
    return kept


def _times(job: Job) -> list[tuple[str, str]]:
    moments = (("asked for", job.created), ("started", job.started), ("ended", job.ended))
    rows = [(name, moment_text(moment)) for name, moment in moments if moment is not None]
    return [*rows, ("took", took(job))] if took(job) else rows


def _table(title: str, rows: list[tuple[str, str]]) -> html.Div:
    body = [html.Tr([html.Th(name, scope="row"), html.Td(text)]) for name, text in rows]
    found = html.Table(html.Tbody(body), className="job-values") if body else html.P("none", className="m-0")
    return html.Div([html.H3(title, className="h6 mb-1"), found])
