"""Pairs one batch at a time, so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from engine.attacks.pairs import BATCH, Pairs
from engine.errors import InvalidInputError
from engine.network.trace import Network
from engine.progress import Progress

#: A model runs at most so many images at once that their activations hold this many elements (200 MB of float32).
MAX_BATCH_ELEMENTS = 50_000_000


class PairStream:
    """The pairs of one set, or of several parts that come one by one; they can be read once.

    Attributes:
        first: the first part that holds pairs.
        total: number of pairs; None where parts come one by one.
    """

    def __init__(self, pairs: Pairs | Iterable[Pairs]) -> None:
        """Looks at the first pairs.

        Raises:
            InvalidInputError: if there are none.
        """
        parts = iter((pairs,)) if isinstance(pairs, Pairs) else iter(pairs)
        first = next((part for part in parts if len(part)), None)
        if first is None:
            raise InvalidInputError("pairs: expected at least one image and its attacked copy; got none.")
        self.first = first
        self.total = len(first) if isinstance(pairs, Pairs) else None
        self._parts = chain((first,), parts)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images."""
        channels, height, width = self.first.clean.shape[1:]
        return (int(channels), int(height), int(width))

    def batches(self, network: Network, what: str, progress: Progress) -> Iterator[Pairs]:
        """The pairs in order, at most 100 at a time, fewer where the model's activations are large.

        Args:
            network: the model that is going to run them.
            what: begins the message after each batch.
            progress: called after each batch; the fraction stays 0 where the number of pairs is not known. May raise
                Cancelled.

        Raises:
            InvalidInputError: for parts of different attacks or of images of different shapes.
        """
        size = batch_size(network)
        done = 0
        for part in self._parts:
            self._check(part)
            for batch in part.batches(size):
                yield batch
                done += len(batch)
                progress(0.0 if self.total is None else done / self.total, f"{what}, {done:,} pairs")

    def _check(self, part: Pairs) -> None:
        first = self.first
        if (part.attack, dict(part.settings), part.seed) != (first.attack, dict(first.settings), first.seed):
            raise InvalidInputError(
                f"pairs: expected parts of one attack with one setting and seed; got {first.attack} "
                f"{dict(first.settings)}, seed {first.seed}, and {part.attack} {dict(part.settings)}, seed {part.seed}."
            )
        if part.clean.shape[1:] != first.clean.shape[1:]:
            raise InvalidInputError(
                f"pairs: expected images of one shape; got {tuple(first.clean.shape[1:])} and "
                f"{tuple(part.clean.shape[1:])} (C, H, W)."
            )


def batch_size(network: Network) -> int:
    """How many images a model runs at once."""
    elements = sum(operation.size for operation in network.operations.values())
    return max(1, min(BATCH, MAX_BATCH_ELEMENTS // elements))
