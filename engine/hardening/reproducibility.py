"""The surroundings of a run: the seed of torch's global random state and the number of CPU threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def reproducible(seed: int, threads: int) -> Iterator[None]:
    """Inside the block torch's random state begins with ``seed`` and so many threads work; after it both are as before.

    The number of threads is part of what determines a result: sums of another order have other last digits.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)
