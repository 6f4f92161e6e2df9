"""Says in which batch training failed, why, and what is left of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from engine.errors import Cancelled, EngineError

#: What PyTorch's allocators for CPUs and for other devices say, where they raise a bare RuntimeError.
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


@contextmanager
def explained(place: Callable[[], str], kept: Callable[[], str]) -> Iterator[None]:
    """Turns what goes wrong inside into an EngineError; Cancelled passes through.

    Args:
        place: where the work is now ("epoch 3, batch 7").
        kept: one sentence on the last good checkpoint.

    Raises:
        EngineError: for memory that ran out, with the advice to take smaller batches, and for the engine's own errors.
    """
    try:
        yield
    except Cancelled:
        raise
    except EngineError as error:
        raise EngineError(f"{place()}: {error} {kept()}") from error
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise EngineError(f"{place()}: memory ran out; lower the batch size. {kept()}") from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory could not be had."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def require_finite_loss(terms: dict[str, float], total: float) -> None:
    """Refuses a loss that is NaN or infinite, before it spoils the weights.

    Raises:
        EngineError: naming the terms.
    """
    sums = torch.tensor([total, *terms.values()])
    if not bool(torch.isfinite(sums).all()):
        listed = ", ".join(f"{name} {value:.4g}" for name, value in terms.items())
        raise EngineError(f"expected a finite loss; it became {total} ({listed}). Lower the learning rate.")


def require_finite_weights(model: nn.Module, *, buffers: bool = False) -> None:
    """Refuses weights (and running statistics, if asked) that are NaN or infinite.

    Raises:
        EngineError: naming the first.
    """
    named = [*model.named_parameters(), *(model.named_buffers() if buffers else ())]
    tensors = [(name, value.detach()) for name, value in named if value.is_floating_point()]
    sums = torch.stack([value.sum(dtype=torch.float64) for _, value in tensors])
    if not bool(torch.isfinite(sums).all()):
        bad = tensors[int((~torch.isfinite(sums)).nonzero()[0])][0]
        raise EngineError(f"expected finite weights; {bad} holds NaN or infinity. Lower the learning rate.")
