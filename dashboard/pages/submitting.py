"""What a page answers to the click that asks for a job."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dash import no_update

from dashboard.pages.following import problem
from dashboard.services.jobs.job import Job
from engine.errors import EngineError


def submitted(
    clicks: int, wrong: Sequence[str], submit: Callable[[], Job], made_before: str | None = None
) -> tuple[object, object, object, bool]:
    """Submits a job, unless something is wrong.

    Args:
        clicks: on the button, so far.
        wrong: what keeps the job from being asked for, a sentence each.
        submit: gives the job, which may be one that was done before.
        made_before: what is said of one that was.

    Returns:
        what the page follows from now on, what the tray looks at now, the words beside the button, and whether the form
        stays open: it makes way for what follows.
    """
    if wrong:
        return no_update, no_update, problem(" ".join(wrong)), True
    try:
        job = submit()
    except EngineError as error:
        return no_update, no_update, problem(str(error)), True
    note = made_before if job.state == "done" else None
    return {"job": job.id, "click": clicks}, f"{job.id} {clicks}", note, False
