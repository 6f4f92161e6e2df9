"""The analyses behind Detour, usable without the browser: ``from engine import EffectivePath``."""

from engine.errors import EngineError
from engine.paths.aggregation import ClassPaths, aggregate
from engine.paths.class_paths import compute_class_paths
from engine.paths.extraction import EffectivePath
from engine.paths.path import Path, union
from engine.version import VERSION

__version__ = VERSION
__all__ = [
    "ClassPaths",
    "EffectivePath",
    "EngineError",
    "Path",
    "aggregate",
    "compute_class_paths",
    "union",
    "__version__",
]
