"""Where results are kept: the server also starts on a disk that keeps nothing."""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
from pathlib import Path

from engine.errors import InvalidInputError
from engine.locations import CACHE

log = logging.getLogger(__name__)

_REMEDY = "Make it writable, or start with another --data-dir."


def cache_folder(data_dir: Path) -> tuple[Path, str]:
    """The folder of results that can be computed again, and what visitors should know about it.

    Args:
        data_dir: folder of the server; it and its cache are made if they are not there.

    Returns:
        the folder, one for this start alone where the usual one cannot be written; and "" or what follows from that.

    Raises:
        InvalidInputError: if a file is in the place of a folder; that is a mistake, not a protected disk.
    """
    problem, lost = _writing_problem(data_dir), "images cannot be uploaded and jobs cannot be started"
    if problem is None:
        problem, lost = _writing_problem(data_dir / CACHE), "results are computed anew after each start"
    if problem is None:
        return data_dir / CACHE, ""
    warning = f"Working without a cache: {problem}; {lost}. {_REMEDY}"
    log.warning("%s", warning)
    folder = tempfile.mkdtemp(prefix="detour-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder), warning


def _writing_problem(folder: Path) -> str | None:
    """Why nothing can be written in a folder, which is made if it is not there; None when something can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except (FileExistsError, NotADirectoryError) as error:
        raise InvalidInputError(f"{folder}: cannot be made ({error}); choose another --data-dir.") from error
    except OSError as error:
        return f"{folder} cannot be written ({error.strerror or error})"
