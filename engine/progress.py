"""How long work reports how far it is, and how it is stopped.

A progress callback takes the finished fraction in [0, 1] and a short sentence. It may raise
:class:`engine.errors.Cancelled`; the work then stops and lets that error through.
"""

from collections.abc import Callable

Progress = Callable[[float, str], None]


def silent(fraction: float, message: str) -> None:
    """A progress callback that reports to nobody."""
