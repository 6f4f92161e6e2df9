"""Asking again for what is still being computed: a clock beside each part of a page, that runs only meanwhile."""

from __future__ import annotations

from dash import Input, Output, dcc

from dashboard.services.computations import Pending

RETRY_MS = 600
# Values of the clock's output.
ASK_AGAIN, DONE = False, True


def retry_clock(part: str) -> dcc.Interval:
    """The clock of the part of a page with that id."""
    return dcc.Interval(id=_clock(part), interval=RETRY_MS, disabled=True)


def retry_output(part: str) -> Output:
    """What a callback sets to :data:`ASK_AGAIN` or :data:`DONE`."""
    return Output(_clock(part), "disabled")


def retry_input(part: str) -> Input:
    """What calls the callback again."""
    return Input(_clock(part), "n_intervals")


def working_words(pending: Pending) -> str:
    """How far it is, for a person."""
    return f"Computing, {round(100 * pending.fraction)} %: {pending}"


def _clock(part: str) -> str:
    return f"{part}-retry"
