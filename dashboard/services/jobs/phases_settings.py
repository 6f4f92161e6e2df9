"""What the view over training may be asked for, checked before it waits in the queue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from dashboard.services.jobs.job import Job
from dashboard.studies.harden_form import PHASED
from engine.errors import InvalidInputError
from engine.version import VERSION

KIND = "phases"
_KNOWN = ("model", "weights", "version", "harden", "phased")
_JOB = re.compile(r"[0-9a-f]{32}")


def phases_settings(model: str, weights: str, harden: str, phased: int) -> dict[str, Any]:
    """The settings of a job.

    Args:
        model: name of the hardened model.
        weights: its content key.
        harden: id of the job that made it.
        phased: training images a checkpoint.
    """
    return {"model": model, "weights": weights, "version": VERSION, "harden": harden, "phased": phased}


def check(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings in their usual form.

    Raises:
        InvalidInputError: naming the first that is unknown, missing or out of range.
    """
    unknown = sorted(set(settings) - set(_KNOWN))
    if unknown:
        raise InvalidInputError(f"such a study has no setting {unknown[0][:60]!r}; it has: {', '.join(_KNOWN)}.")
    for name in ("model", "weights"):
        if not isinstance(settings.get(name), str) or not settings[name]:
            raise InvalidInputError(f"{name}: expected that of a classifier; got {str(settings.get(name))[:60]!r}.")
    if not _JOB.fullmatch(str(settings.get("harden", ""))):  # it becomes part of a path
        raise InvalidInputError(f"harden: expected the id of a job; got {str(settings.get('harden'))[:60]!r}.")
    phased = int(PHASED.parse(settings.get("phased", PHASED.default)))
    return phases_settings(settings["model"], settings["weights"], settings["harden"], phased)


def link(job: Job) -> str:
    """Where the view is shown, with the form as it was."""
    query = {"model": str(job.settings.get("model", "")), "phased": str(job.settings.get("phased", PHASED.default))}
    return "/classes?" + urlencode({**query, KIND: job.id})
