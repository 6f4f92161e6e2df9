"""numba's compiler as all kernels use it: the interpreter lock released, the machine code kept on disk."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numba

log = logging.getLogger(__name__)
_warned = False


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compiles a function at its first call, and keeps the result on disk where there is a place for it."""

    def compile_(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:
            _warn_once()
            return numba.njit(nogil=True, **options)(function)

    return compile_


def _warn_once() -> None:
    global _warned
    if not _warned:
        log.warning(
            "No folder can be written to keep the compiled kernels in; every start compiles them again. "
            "Set NUMBA_CACHE_DIR to a folder that can."
        )
    _warned = True
