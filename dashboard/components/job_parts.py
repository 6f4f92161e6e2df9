"""What the tray and the Jobs page show of a job: its state, its progress, its times and what can be done with it."""

from __future__ import annotations

import hashlib
import math
import time
from datetime import UTC, datetime

from dash import html

from dashboard.components.icons import icon
from dashboard.services.jobs.job import Job
from engine.registry import Registry

ORDER = "job-order"
_STATES = {
    "queued": ("bi-hourglass-split", "waiting"),
    "running": ("bi-play-circle-fill", "running"),
    "done": ("bi-check-circle-fill", "done"),
    "failed": ("bi-x-octagon-fill", "failed"),
    "cancelled": ("bi-slash-circle", "cancelled"),
    "interrupted": ("bi-pause-circle-fill", "interrupted"),
}
_ORDERS = {
    "cancel": ("bi-x-lg", "Cancel"),
    "again": ("bi-arrow-clockwise", "Run again"),
    "remove": ("bi-trash3", "Remove"),
}
_UNITS = ((86400, "day"), (3600, "h"), (60, "min"))


def order_id(do: str, job_id: str, place: str) -> dict[str, str]:
    """The id of a button that does something with a job; ``place`` tells the tray's from the page's."""
    return {"type": ORDER, "do": do, "job": job_id, "place": place}


def order_button(do: str, job: Job, place: str, *, worded: bool = False) -> html.Button:
    """A button that cancels a job, runs it again or removes it; the name says which job, for who cannot see the row."""
    icon_name, word = _ORDERS[do]
    name = f"{word}: {job.label}"
    words = [html.Span(word), html.Span(f": {job.label}", className="visually-hidden")]
    return html.Button(
        [
            icon(icon_name, "me-1" if worded else ""),
            *(words if worded else [html.Span(name, className="visually-hidden")]),
        ],
        id=order_id(do, job.id, place),
        n_clicks=0,
        type="button",
        title=name,
        disabled=job.cancelling if do == "cancel" else False,
        className="btn btn-sm btn-outline-secondary small-button",
    )


def state_badge(job: Job) -> html.Span:
    """The state as an icon and a word; a waiting job tells its position."""
    icon_name, word = _STATES[job.state]
    if job.cancelling:
        word = "stopping"
    elif job.state == "queued":
        word = "next in the queue" if job.position == 1 else f"number {job.position} in the queue"
    return html.Span([icon(icon_name, "me-1"), word], className=f"job-state is-{job.state}")


def progress_bar(job: Job) -> html.Div:
    """How far a job is."""
    share = str(percent(job))
    return html.Div(
        html.Div(className="progress-bar", style={"width": f"{share}%"}),
        className="progress job-progress",
        role="progressbar",
        **{"aria-label": job.label, "aria-valuenow": share, "aria-valuemin": "0", "aria-valuemax": "100"},
    )


def percent(job: Job) -> int:
    """The finished share, rounded down: 100 is said when it is done, not before."""
    return math.floor(100 * job.fraction)


def progress_words(job: Job) -> str:
    """What a running job is doing."""
    return f"{percent(job)} %" + (f" · {job.message}" if job.message else "")


def time_left(job: Job) -> str:
    """How long a running job will take, "" where there is nothing to tell from."""
    if job.state != "running" or job.seconds_left is None or job.cancelling or job.message.endswith(" left"):
        return ""  # where the work itself tells it, that is the better guess
    return f"about {_coarse(job.seconds_left)} left"


def duration(seconds: float) -> str:
    """A span of time as a person says it: 12 s, 3 min 5 s, 2 h 4 min."""
    whole = max(0, round(seconds))
    if seconds < 1:
        return "less than 1 s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def took(job: Job) -> str:
    """How long an ended job ran, "" if it never did."""
    return duration(job.ended - job.started) if job.ended and job.started else ""


def ago(moment: float, now: float | None = None) -> str:
    """How long ago something was, in one unit."""
    passed = (time.time() if now is None else now) - moment
    for seconds, unit in _UNITS:
        if passed >= seconds:
            count = int(passed // seconds)
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''} ago"
    return "just now"


def moment_text(moment: float) -> str:
    """A moment as date and time of day."""
    return f"{datetime.fromtimestamp(moment, UTC):%-d %b %Y, %H:%M:%S} UTC"


def result_link(kinds: Registry[object], job: Job) -> str | None:
    """Where the result of a finished job is shown, if its kind has such a place."""
    if job.state != "done" or job.kind not in kinds:
        return None
    link = kinds[job.kind].facts.get("link")
    return None if link is None else str(link(job))


def kind_label(kinds: Registry[object], job: Job) -> str:
    """What a person reads of a job's kind; an earlier version may have had others."""
    return kinds[job.kind].label if job.kind in kinds else job.kind


def fingerprint(parts: object) -> str:
    """Changes when what is drawn does, so that what is the same is not drawn again under somebody's hands."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _coarse(seconds: float) -> str:
    """A guess, no more exact than it can be: it would change at every look."""
    if seconds < 10:
        return "10 s"
    if seconds < 60:
        return f"{math.ceil(seconds / 10) * 10} s"
    if seconds < 3600:
        return f"{math.ceil(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
