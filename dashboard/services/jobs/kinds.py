"""The kinds of job there are."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dashboard.services.jobs.job import Job, JobContext
from engine.errors import InvalidInputError
from engine.progress import Progress
from engine.registry import Entry, Parameter, Registry

#: Does the work: writes files into the folder and returns a summary, plain JSON. Resumes from ``context.work``.
Run = Callable[[Mapping[str, Any], Path, Progress, JobContext], Mapping[str, Any]]
#: An entry's fact "check": the settings of a submission in their usual form, or an EngineError; must be quick.
Check = Callable[[Mapping[str, Any]], Mapping[str, Any]]

MODULE = __name__
THETA = Parameter("theta", "θ", "float", 0.5, 0.0, 1.0, help="Share of each neuron's value that its path explains.")


def _check_class_paths(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    unknown = sorted(set(settings) - {"model", "theta", "weights"})
    if unknown:
        raise InvalidInputError(f"class paths have no setting {unknown[0][:60]!r}; they have: model, theta, weights.")
    model, weights = settings.get("model"), settings.get("weights")
    if not isinstance(model, str) or not model:
        raise InvalidInputError(f"model: expected the name of a classifier; got {str(model)[:60]!r}.")
    checked = {"model": model, "theta": THETA.parse(settings.get("theta", THETA.default))}
    return checked if weights is None else checked | {"weights": str(weights)}


def _run_class_paths(
    settings: Mapping[str, Any], folder: Path, progress: Progress, context: JobContext
) -> Mapping[str, Any]:
    # torch takes seconds to import: only the process that needs it should.
    from dashboard.services.jobs.class_paths import run

    return run(settings, folder, progress, context)


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
    registry.add(
        Entry(
            "class-paths",
            "Class paths",
            _run_class_paths,
            (THETA,),
            paper="Qiu et al.: Adversarial Defense Through Network Profiling Based Path Extraction. CVPR 2019.",
            facts={"check": _check_class_paths},
        )
    )
    return registry


kinds: Registry[Any] = _catalogue()


def load_kinds(module: str) -> Registry[Any]:
    """The registry called ``kinds`` of an importable module; the server's code names it, never a browser."""
    return importlib.import_module(module).kinds
