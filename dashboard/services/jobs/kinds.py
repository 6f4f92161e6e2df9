"""The kinds of job there are."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dashboard.services.jobs.job import Job, JobContext
from engine.progress import Progress
from engine.registry import Entry, Registry

#: Does the work: writes files into the folder and returns a summary, plain JSON. Resumes from ``context.work``.
Run = Callable[[Mapping[str, Any], Path, Progress, JobContext], Mapping[str, Any]]
#: An entry's fact "check": the settings of a submission in their usual form, or an EngineError; must be quick.
Check = Callable[[Mapping[str, Any]], Mapping[str, Any]]

MODULE = __name__


def _check_detection(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    # Only the server checks, which has imported all this long ago; a job's process must not.
    from dashboard.services.jobs.detection_settings import check

    return check(settings)


def _link_detection(job: Job) -> str:
    from dashboard.services.jobs.detection_settings import link

    return link(job)


def _run_detection(
    settings: Mapping[str, Any], folder: Path, progress: Progress, context: JobContext
) -> Mapping[str, Any]:
    from dashboard.services.jobs.detection import run

    return run(settings, folder, progress, context)


def _catalogue() -> Registry[Any]:
    registry: Registry[Any] = Registry("kind of job")
    registry.add(
        Entry(
            "detection",
            "Detection study",
            _run_detection,
            paper="Qiu et al.: Adversarial Defense Through Network Profiling Based Path Extraction. CVPR 2019.",
            facts={"check": _check_detection, "link": _link_detection},
        )
    )
    return registry


kinds: Registry[Any] = _catalogue()


def load_kinds(module: str) -> Registry[Any]:
    """The registry called ``kinds`` of an importable module; the server's code names it, never a browser."""
    return importlib.import_module(module).kinds
