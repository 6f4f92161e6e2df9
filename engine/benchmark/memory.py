"""The memory that a piece of work takes on top of what the process holds before it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psutil

_EVERY_S = 0.002


def peak_memory(work: Callable[[], object]) -> int:
    """Runs the work and returns by how many bytes the process grew at its highest, seen every two milliseconds.

    What is compiled or loaded at a first run counts too: run the work once before. Memory that the process had been
    given before and kept for reuse is not seen, so the first large work of a process tells most.
    """
    process = psutil.Process()
    before = peak = process.memory_info().rss
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(_EVERY_S):
            peak = max(peak, process.memory_info().rss)

    watching = threading.Thread(target=watch, name="memory", daemon=True)
    watching.start()
    try:
        work()
    finally:
        ended.set()
        watching.join()
    return int(max(peak, process.memory_info().rss) - before)
