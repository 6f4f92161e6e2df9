"""What all classes come to together: computed once for the class paths that a page shows, not once a figure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from engine.paths.class_paths import ClassPaths
from engine.paths.path import Path

T = TypeVar("T")


def _once(compute: Callable[[ClassPaths], T]) -> Callable[[ClassPaths], T]:
    """Keeps the result as long as the class paths themselves are kept; two that ask together may both compute it."""
    results: WeakKeyDictionary[ClassPaths, T] = WeakKeyDictionary()

    def found(class_paths: ClassPaths) -> T:
        result = results.get(class_paths)
        if result is None:
            result = results[class_paths] = compute(class_paths)
        return result

    return found


@_once
def similarity(class_paths: ClassPaths) -> np.ndarray:
    """(K, K) :meth:`ClassPaths.similarity`; read-only."""
    matrix = class_paths.similarity()
    matrix.flags.writeable = False
    return matrix


@_once
def overall(class_paths: ClassPaths) -> Path:
    """The union over all classes."""
    return class_paths.overall()


@_once
def density_growth(class_paths: ClassPaths) -> np.ndarray:
    """(K,) :meth:`ClassPaths.density_growth`; read-only."""
    growth = class_paths.density_growth()
    growth.flags.writeable = False
    return growth
