"""How far training is, and how long it will go on."""

from __future__ import annotations

import time
from collections.abc import Mapping

from engine.progress import Progress


class Pace:
    """Reports batches to a progress callback, with the time that is left at the pace so far."""

    def __init__(self, progress: Progress, batches: int, finished: int) -> None:
        """Begins to count.

        Args:
            progress: takes fractions from 0 to 1.
            batches: of the whole run.
            finished: how many of them an earlier process had finished.
        """
        self._progress = progress
        self._batches = batches
        self._finished = self._first = finished
        self._begin = time.monotonic()
        self._message = ""

    def within(self, what: str, *, counts: bool = True) -> Progress:
        """A callback for a part of the work, so that a cancel is heard there; it keeps the last batch's loss in sight.

        Args:
            what: said before the first batch is done.
            counts: whether the part is one batch, whose fraction moves the whole; else it does not move.
        """

        def report(fraction: float, message: str) -> None:
            share = min(max(fraction, 0.0), 1.0) if counts else 0.0
            self._progress((self._finished + share) / self._batches, self._message or what)

        return report

    def done(self, what: str, total: float, terms: Mapping[str, float]) -> None:
        """Notes a finished batch with its loss."""
        self._finished += 1
        parts = "" if len(terms) == 1 else f" ({', '.join(f'{name} {value:.3g}' for name, value in terms.items())})"
        each = (time.monotonic() - self._begin) / (self._finished - self._first)
        left = duration(each * (self._batches - self._finished))
        self._message = f"{what}, loss {total:.4f}{parts}, {left} left"
        self._progress(self._finished / self._batches, self._message)


def duration(seconds: float) -> str:
    """A time for people: "40 s", "12 min", "3 h 5 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
