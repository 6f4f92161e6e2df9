"""The class paths that figures need, and what to say of a class that has none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dashboard.components.figure_card import Waiting
from dashboard.selection import Selection
from dashboard.services import Services
from dashboard.services.class_paths import Normal
from engine.errors import EngineError
from engine.paths.class_paths import ClassPaths

NAMED = 5
WITHOUT_PATH = "the model classifies no training image of it correctly"


def normal_or_wait(services: Services, selection: Selection) -> Normal:
    """The class paths of a selection, and the bands of normal images.

    Raises:
        Waiting: while they are not there.
        EngineError: if computing them failed, with the reason.
    """
    work = services.normal_paths.ask(selection.model, selection.theta)
    if work.error is not None:
        raise EngineError(work.error)
    if work.normal is None:
        raise Waiting
    return work.normal


def missing_note(class_paths: ClassPaths) -> str | None:
    """Which classes have no path, and why; None when all have one."""
    missing = [class_paths.class_names[index] for index in np.flatnonzero(class_paths.counts == 0)]
    if not missing:
        return None
    if len(missing) == 1:
        return f"{missing[0]} has no class path: {WITHOUT_PATH}."
    return f"{_listed(missing)} have no class path: the model classifies no training image of theirs correctly."


def _listed(names: Sequence[str]) -> str:
    if len(names) > NAMED:
        return f"{', '.join(names[:NAMED])} and {len(names) - NAMED:,} more"
    return f"{', '.join(names[:-1])} and {names[-1]}"
