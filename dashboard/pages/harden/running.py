"""How far the hardening is that the URL names, what a stopped one has left, and its learning curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard.components.icons import icon
from dashboard.components.job_parts import order_id
from dashboard.pages.following import look_after
from dashboard.pages.harden import ids
from dashboard.selection import Parsed
from dashboard.services import Services
from dashboard.services.jobs.job import Job
from engine.errors import EngineError


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of a hardening.

    Attributes:
        status: what is said of it; None where there is nothing to say.
        outcome: once it is finished, a token that changes when what came of it does.
        epochs: a token that changes with every epoch that is finished; None before the first.
    """

    status: object
    outcome: str | None
    epochs: str | None


def look(services: Services, parsed: Parsed) -> Seen:
    """Looks at the hardening that is named, if any."""
    status, outcome = look_after(services.hardenings, parsed)
    job = job_of(services, parsed)
    if job is None:
        return Seen(status, outcome, None)
    try:
        curves = services.hardenings.curves(job)
    except EngineError:  # its files are damaged, as the status says
        return Seen(status, outcome, None)
    epochs = f"{job.id}|{curves['epochs']}|{outcome}" if curves and curves["epochs"] else None
    if job.has_ended and job.state != "done":
        status = _stopped(services, job, curves)
    return Seen(status, outcome, epochs)


def job_of(services: Services, parsed: Parsed) -> Job | None:
    """The hardening that is named; None where there is none, or it is of another model."""
    values = parsed.values
    if "harden" not in values or "model" not in values:
        return None
    try:
        return services.hardenings.job(values["harden"], values["model"])
    except EngineError:  # the status says so
        return None


def wanted_epochs(job: Job, curves: Mapping[str, Any] | None) -> int:
    """How many epochs a hardening is to have."""
    return int((curves or {}).get("epochs_wanted") or job.settings["epochs"])


def _stopped(services: Services, job: Job, curves: Mapping[str, Any] | None) -> object:
    """Why a hardening has ended, and what can be done with what it has left."""
    kept, wanted = services.hardenings.kept_epochs(job), wanted_epochs(job, curves)
    words = {"failed": "This hardening failed", "cancelled": "Cancelled", "interrupted": "Interrupted"}[job.state]
    reason = f" {job.error}" if job.error else ""
    if kept:
        left = f"{words}: stopped after epoch {kept} of {wanted}.{reason} What it had learned by then is kept."
    else:
        left = f"{words} before its first epoch was finished.{reason} There is nothing to keep."
    more = _button("arrow-clockwise", "Go on" if kept else "Run again", order_id("again", job.id, "harden"))
    keep = _button("save", "Keep it as a model", ids.keep(job.id)) if kept else None
    where = html.Span(["Its log is on the page ", dcc.Link("Jobs", href=f"/jobs?job={job.id}"), "."], className="small")
    row = html.Div(
        [one for one in (keep, more, where) if one], className="d-flex flex-wrap gap-2 align-items-center mt-2"
    )
    return dbc.Alert([left, row], color="danger" if job.state == "failed" else "warning", class_name="mt-3")


def _button(picture: str, text: str, identity: Mapping[str, Any]) -> html.Button:
    return html.Button(
        [icon(f"bi-{picture}", "me-1"), text],
        id=dict(identity),
        n_clicks=0,
        type="button",
        className="btn btn-sm btn-outline-primary",
    )
