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


def _of_units(kind: str) -> dict[str, Any]:
    """What a kind that studies units needs; imported only when it is used, as above."""

    def check(settings: Mapping[str, Any]) -> Mapping[str, Any]:
        from dashboard.services.jobs.unit_settings import checked

        return checked(kind, settings)

    def link(job: Job) -> str:
        from dashboard.services.jobs.unit_settings import link

        return link(job)

    return {"check": check, "link": link}


def _run_sensitivity(
    settings: Mapping[str, Any], folder: Path, progress: Progress, context: JobContext
) -> Mapping[str, Any]:
    from dashboard.services.jobs.units import sensitivity

    return sensitivity(settings, folder, progress, context)


def _run_route(settings: Mapping[str, Any], folder: Path, progress: Progress, context: JobContext) -> Mapping[str, Any]:
    from dashboard.services.jobs.units import route

    return route(settings, folder, progress, context)


def _settings_in(module: str) -> dict[str, Any]:
    """What a kind needs whose settings are checked in a module of their own; imported only when it is used."""

    def check(settings: Mapping[str, Any]) -> Mapping[str, Any]:
        return importlib.import_module(module).check(settings)

    def link(job: Job) -> str:
        return importlib.import_module(module).link(job)

    return {"check": check, "link": link}


def _run_in(module: str) -> Run:
    def run(settings: Mapping[str, Any], folder: Path, progress: Progress, context: JobContext) -> Mapping[str, Any]:
        return importlib.import_module(module).run(settings, folder, progress, context)

    return run


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
            "sensitivity",
            "Sensitivity of units",
            _run_sensitivity,
            paper="Zhang et al.: Interpreting and Improving Adversarial Robustness of Deep Neural Networks with Neuron "
            "Sensitivity. 2020.",
            facts=_of_units("sensitivity"),
        )
    )
    registry.add(
        Entry(
            "route",
            "Critical attacking route",
            _run_route,
            paper="Li et al.: Understanding Adversarial Robustness via Critical Attacking Route. 2020.",
            facts=_of_units("route"),
        )
    )
    registry.add(
        Entry(
            "harden",
            "Hardening",
            _run_in("dashboard.services.jobs.hardening"),
            paper="Zhang et al. 2020; Li et al. 2020; Madry et al. 2018; Kannan et al. 2018.",
            facts=_settings_in("dashboard.services.jobs.hardening_settings"),
        )
    )
    registry.add(
        Entry(
            "comparison",
            "Comparison of models",
            _run_in("dashboard.services.jobs.comparison"),
            paper="Zhang et al.: Interpreting and Improving Adversarial Robustness of Deep Neural Networks with Neuron "
            "Sensitivity. 2020.",
            facts=_settings_in("dashboard.services.jobs.comparison_settings"),
        )
    )
    registry.add(
        Entry(
            "phases",
            "Class paths over training",
            _run_in("dashboard.services.jobs.phases"),
            paper="Qiu et al.: Effective Path: Know the Unknowns of Neural Network. 2018.",
            facts=_settings_in("dashboard.services.jobs.phases_settings"),
        )
    )
    return registry


kinds: Registry[Any] = _catalogue()


def load_kinds(module: str) -> Registry[Any]:
    """The registry called ``kinds`` of an importable module; the server's code names it, never a browser."""
    return importlib.import_module(module).kinds
