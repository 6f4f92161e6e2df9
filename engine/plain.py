"""Results as JSON can hold them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def plain(value: Any, digits: int | None = None) -> Any:
    """The value in lists, mappings with text as keys, numbers and texts; what is not a number becomes null.

    Args:
        value: of NumPy's types and Python's.
        digits: significant digits that are kept of a float; all of them if None.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, digits) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist(), digits)
    if isinstance(value, Path):
        return str(value)
    if not isinstance(value, float):
        return value
    if not np.isfinite(value):
        return None
    return value if digits is None else float(f"{value:.{digits}g}")
