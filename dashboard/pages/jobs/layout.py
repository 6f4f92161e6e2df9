"""The layout of the Jobs page for the values in the URL."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from dash import dcc, html

from dashboard.components.icons import icon
from dashboard.pages.jobs import ids
from dashboard.pages.jobs.details import about, checked, log_text
from dashboard.pages.jobs.table import counts, job_table
from dashboard.pages.shell import Shell
from dashboard.services import Services

HELP = [
    (
        "What this page shows",
        "Work that takes minutes and runs in processes of its own: what runs, what waits for its turn, and what ran.",
    ),
    (
        "Waiting and running",
        "As many jobs run at once as the machine has processors, less one, so that the pages stay quick; the others "
        "wait in their order. Equal work that is asked for twice is done once.",
    ),
    (
        "Interrupted",
        "The job's process ended through no fault of its own, the server was stopped for example, or its result was "
        "damaged. Run it again; it goes on from where it was if it can.",
    ),
    (
        "Results",
        "Each file of a result is kept with its checksum (SHA-256) and compared with it before it is used. They are "
        "kept until the job is removed.",
    ),
]
SHELL = Shell("jobs", "Jobs", HELP, marked={}, has_model=False)


def build(services: Services, query: Mapping[str, object]) -> html.Div:
    """The page for the given fields of the URL."""
    parsed = services.parse_fields(query)
    details = _details(services, parsed.values.get("job"), query)  # first: it may find a result damaged
    jobs = services.jobs.jobs()
    return html.Div(
        [
            *SHELL.stores(query, {}),
            dcc.Store(id=ids.KNOWN),
            *SHELL.head(services, parsed, query),
            html.P(counts(jobs), id=ids.COUNTS, className="mb-2"),
            details,
            html.Div(job_table(jobs, services.jobs.kinds, query), id=ids.TABLE, className="panel job-panel"),
        ]
    )


def _details(services: Services, job_id: str | None, query: Mapping[str, object]) -> html.Section:
    """The panel of one job; it is there but hidden while none is chosen, as its callback fills it."""
    job = checked(services, job_id) if job_id else None
    rest = {name: value for name, value in query.items() if name != "job"}
    close = dcc.Link(
        [icon("bi-x-lg"), html.Span("Close the details", className="visually-hidden")],
        href="/jobs" + ("?" + urlencode(rest, doseq=True) if rest else ""),
        id="jobs-close",
        className="btn btn-sm btn-outline-secondary job-close",
        title="Close the details",
    )
    log = html.Pre(
        log_text(services, job), id=ids.LOG, className="job-log", tabIndex="0", role="log", **{"aria-label": "Log"}
    )
    return html.Section(
        [
            close,
            html.Div(about(services, job) if job else None, id=ids.ABOUT),
            html.H3("Log", className="h6 mt-3 mb-1"),
            log,
        ],
        id=ids.DETAILS,
        className="panel job-details",
        hidden=job is None,
        **{"aria-label": "Details of the job"},
    )
