"""How long work reports how far it is, and how it is stopped.

A progress callback takes the finished fraction in [0, 1] and a short sentence. It may raise
:class:`engine.errors.Cancelled`; the work then stops and lets that error through.
"""

from collections.abc import Callable

Progress = Callable[[float, str], None]


def silent(fraction: float, message: str) -> None:
    """A progress callback that reports to nobody."""


def span(progress: Progress, begin: float, end: float) -> Progress:
    """A callback for a part of the work: its fractions in [0, 1] are reported between ``begin`` and ``end``."""

    def report(fraction: float, message: str) -> None:
        progress(begin + (end - begin) * fraction, message)

    return report
