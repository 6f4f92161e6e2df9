"""The table of jobs, and the line that counts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from dash import dcc, html

from dashboard.components.icons import icon
from dashboard.components.job_parts import (
    ago,
    kind_label,
    moment_text,
    order_button,
    progress_bar,
    progress_words,
    result_link,
    state_badge,
    time_left,
    took,
)
from dashboard.services.jobs.job import Job
from engine.registry import Registry

PLACE = "page"
# The list keeps more; nobody reads them all.
SHOWN_ENDED = 100
_COLUMNS = ("State", "Job", "Progress", "Time", "When", "Actions")


def counts(jobs: Sequence[Job]) -> str:
    """How many jobs there are, in one line."""
    if not jobs:
        return "No jobs."
    numbers = {"running": 0, "queued": 0, "ended": 0}
    for job in jobs:
        numbers["ended" if job.has_ended else job.state] += 1
    return f"{numbers['running']} running, {numbers['queued']} waiting, {numbers['ended']} ended."


def job_table(jobs: Sequence[Job], kinds: Registry[object], query: Mapping[str, object]) -> object:
    """The table, or what jobs are where there is none.

    Args:
        jobs: in the order of the queue.
        kinds: the kinds of job.
        query: the fields of the URL, which the links to the details keep.
    """
    if not jobs:
        return _empty()
    active = [job for job in jobs if not job.has_ended]
    ended = [job for job in jobs if job.has_ended]
    rows = [_row(job, kinds, query) for job in (*active, *ended[:SHOWN_ENDED])]
    head = html.Tr([html.Th(name, scope="col", role="columnheader") for name in _COLUMNS], role="row")
    # On narrow screens the rows become cards by their style; the roles keep them a table for screen readers.
    table = html.Table(
        [html.Thead(head, role="rowgroup"), html.Tbody(rows, role="rowgroup")],
        className="job-table",
        role="table",
        **{"aria-label": "Jobs"},
    )
    older = len(ended) - SHOWN_ENDED
    note = f"{older:,} older jobs are not shown; remove some of these to see them." if older > 0 else None
    return [table, html.P(note, className="small text-body-secondary mt-2 mb-0")] if note else [table]


def _empty() -> list[object]:
    return [
        html.P(
            "There are no jobs yet. A job is work that takes minutes: it waits its turn, runs beside the pages, goes "
            "on when you close them, and keeps its result here.",
            className="mb-1",
        ),
        html.P(["Start one on the page ", dcc.Link("Detect", href="/detect"), "."], className="mb-0"),
    ]


def _row(job: Job, kinds: Registry[object], query: Mapping[str, object]) -> html.Tr:
    cells = (state_badge(job), _name(job, kinds, query), _progress(job), _time(job), _when(job), _actions(job, kinds))
    shown = "job-row is-chosen" if query.get("job") == job.id else "job-row"
    return html.Tr(
        [
            html.Td(cell, role="cell", className=f"job-cell-{name.lower()}", **{"data-label": name})
            for name, cell in zip(_COLUMNS, cells, strict=True)
        ],
        key=job.id,
        id=f"jobs-row-{job.id}",
        role="row",
        className=shown,
    )


def _name(job: Job, kinds: Registry[object], query: Mapping[str, object]) -> list[object]:
    address = "/jobs?" + urlencode({**query, "job": job.id}, doseq=True)
    return [
        dcc.Link(job.label, href=address, id=f"jobs-link-{job.id}", className="job-label", title="Settings and log"),
        html.Div(kind_label(kinds, job), className="small text-body-secondary"),
    ]


def _progress(job: Job) -> object:
    if job.state == "running":
        return [progress_bar(job), html.Div(progress_words(job), className="job-message")]
    return html.Div(job.error, className="job-message") if job.error else None


def _time(job: Job) -> str:
    if not job.has_ended:
        return time_left(job)
    return f"took {took(job)}" if took(job) else ""


def _when(job: Job) -> html.Span:
    moment = job.ended or job.started or job.created
    said = "ended" if job.ended else "started" if job.started else "asked for"
    return html.Span(f"{said} {ago(moment)}", title=moment_text(moment))


def _actions(job: Job, kinds: Registry[object]) -> html.Div:
    link = result_link(kinds, job)
    buttons: list[object] = [_result_button(job, link)] if link else []
    if not job.has_ended:
        buttons.append(order_button("cancel", job, PLACE, worded=True))
    elif job.state != "done":
        buttons.append(order_button("again", job, PLACE, worded=True))
    if job.has_ended:
        buttons.append(order_button("remove", job, PLACE, worded=not link and job.state == "done"))
    return html.Div(buttons, className="job-actions")


def _result_button(job: Job, link: str) -> dcc.Link:
    return dcc.Link(
        [icon("bi-box-arrow-up-right", "me-1"), "Result", html.Span(f": {job.label}", className="visually-hidden")],
        href=link,
        id=f"jobs-result-{job.id}",
        className="btn btn-sm btn-outline-primary small-button",
    )
