"""Where data sets are looked for."""

from __future__ import annotations

import os
from pathlib import Path

from engine.locations import data_directory

__all__ = ["data_directory", "dataset_directory"]


def dataset_directory() -> Path:
    """The root of the data set files: the environment variable ``DETOUR_DATA``, else ``data_directory()/datasets``."""
    data = os.environ.get("DETOUR_DATA")
    return Path(data).expanduser() if data else data_directory() / "datasets"
