"""What a person reads about a job that failed."""

from __future__ import annotations

import errno
import signal
import sqlite3

from engine.errors import EngineError

OUT_OF_MEMORY = "out of memory: reduce the number of images or choose a smaller model, then run it again."
UNEXPECTED = "The job failed; its log has the details."
STOPPED = "The server was stopped while the job ran; run it again."
LOST = "The job's process ended while no server followed it; run it again."


def sentence_of(error: BaseException, folder: object) -> str:
    """One sentence for an exception that ended a job; the log gets the details of one nobody foresaw.

    Args:
        error: what was raised.
        folder: where the job writes.
    """
    cause: BaseException | None = error
    while cause is not None:
        if _is_out_of_memory(cause):
            return OUT_OF_MEMORY
        if _is_disk_full(cause):
            return f"disk full: make room on the disk of {folder}, then run it again."
        cause = cause.__cause__
    if isinstance(error, EngineError):
        return str(error)
    return UNEXPECTED


def sentence_of_exit(code: int) -> str:
    """One sentence for a process that ended without a word of its own.

    Args:
        code: its exit status; negative for a signal, as subprocess has it.
    """
    if code == -signal.SIGKILL:
        return "killed (signal 9): its process was ended from outside, or memory ran out; run it again, or reduce it."
    if code < 0:
        return f"killed (signal {-code}): the job's process crashed or was ended; its log has the details."
    return f"The job's process ended with status {code} and no result; its log has the details."


def _is_disk_full(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _is_out_of_memory(error: BaseException) -> bool:
    # torch raises a RuntimeError of its own, on the CPU one without a class.
    text = str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and ("can't allocate memory" in text or "not enough memory" in text))
    )
