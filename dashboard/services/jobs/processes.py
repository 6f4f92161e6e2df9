"""Processes that are told apart by their number and the moment they were created: numbers are used again."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass

import psutil

# The moment is reckoned from when the machine started, which the kernel states in whole seconds.
TOLERANCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Identity:
    """One process.

    Attributes:
        pid: its number.
        created: unix seconds.
    """

    pid: int
    created: float


def identify(pid: int) -> Identity:
    """The process that has this number now.

    Raises:
        OSError: if there is none.
    """
    try:
        return Identity(pid, psutil.Process(pid).create_time())
    except psutil.Error as error:
        raise ProcessLookupError(f"process {pid} ended at once") from error


def lives(identity: Identity) -> bool:
    """Whether the process is there; one that has ended but was not waited for is not."""
    try:
        process = _find(identity)
        return process is not None and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def has_ended(child: int) -> bool:
    """Whether a child has ended; it stays to be waited for, so that its number is not used again yet."""
    try:
        return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def signal_group(leader: int, number: signal.Signals) -> None:
    """Sends a signal to a process and all it has started, where they are still there.

    The caller has made sure that ``leader`` is the process it means, or that no process has this number: a number
    stays reserved as long as there is a group of that name.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def kill_what_is_left(identity: Identity) -> None:
    """Kills a process, or what is left of its group where it has ended itself."""
    if _find(identity) is not None or not psutil.pid_exists(identity.pid):
        signal_group(identity.pid, signal.SIGKILL)


def _find(identity: Identity) -> psutil.Process | None:
    try:
        process = psutil.Process(identity.pid)
        return process if abs(process.create_time() - identity.created) <= TOLERANCE_S else None
    except psutil.NoSuchProcess:
        return None
