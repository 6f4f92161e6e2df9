"""Where a user's own files live: downloads, trained models, caches. Never inside the program's folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

#: Folder of a data directory with all that can be computed again, and nothing else.
CACHE = "cache"


def data_directory() -> Path:
    """The user's data directory: the environment variable ``DETOUR_HOME``, else the platform's place for "detour".

    The directory is not created here.
    """
    home = os.environ.get("DETOUR_HOME")
    return Path(home).expanduser() if home else Path(platformdirs.user_data_dir("detour", appauthor=False))
