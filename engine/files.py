"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

#: Everything that reading a damaged npz raises; a flipped bit can make it look compressed in another way.
DAMAGED_ARCHIVE = (
    OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


#: How the name of a file ends that is not whole yet, and that of a state which stopped work resumes from.
PARTIAL = ".partial"
STATE = ".part.npz"
#: How that of a file ends which was found damaged.
DAMAGED = ".damaged"


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets ``write`` fill a temporary file beside ``path`` and then puts it in its place, in one step.

    Whatever goes wrong, no half-written file is left and an old one stays as it was.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)  # mkstemp's 0600 would hide a shared file from other users
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def set_aside(path: Path) -> None:
    """Renames a damaged file, so that what it should hold is computed again; one that has just gone is no matter."""
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, path.with_suffix(DAMAGED))


def mark_used(path: Path) -> None:
    """Notes in a file's time of modification that it is used now: a cache lets go what was used longest ago.

    On a disk that cannot be written, or when the file has just gone, nothing happens.
    """
    with contextlib.suppress(OSError):
        os.utime(path)
