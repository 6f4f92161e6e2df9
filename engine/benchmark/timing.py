"""Times of several pieces of work, taken in turn, so that a machine's moods strike them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

from engine.progress import Progress, silent


def medians(works: Mapping[str, Callable[[], object]], runs: int, progress: Progress = silent) -> dict[str, float]:
    """The median time of each piece of work, in seconds.

    Args:
        works: by name; each is run once before any is timed, for what is compiled or read at the first time.
        runs: how often each is timed, one after the other in every round.
        progress: called after every piece; may raise Cancelled.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    n_done = 0
    for round_ in range(runs + 1):
        for name, work in works.items():
            begin = time.perf_counter()
            work()
            if round_ > 0:
                times[name].append(time.perf_counter() - begin)
            n_done += 1
            progress(n_done / (len(works) * (runs + 1)), f"{name}, round {round_} of {runs}")
    return {name: statistics.median(taken) for name, taken in times.items()}


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Inside, torch and the kernels use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
