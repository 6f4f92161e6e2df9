"""What a detection study may be asked for, checked before it waits in the queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from dashboard.selection import SEED, THETA
from dashboard.services.jobs.job import Job
from dashboard.studies.form import STUDY_FIELDS, StudyForm, field_text, read_study_form
from engine.errors import InvalidInputError
from engine.version import VERSION

KIND = "detection"
_GIVEN = ("model", "theta", "seed", "weights", "version", *STUDY_FIELDS)


def study_settings(model: str, weights: str, theta: float, seed: int, form: StudyForm) -> dict[str, Any]:
    """The settings of a job; the lists among them are written as in a URL.

    Args:
        model: name of a classifier.
        weights: its content key.
        theta, seed: of the study.
        form: everything else.
    """
    texts = {name: field_text(name, getattr(form, name)) for name in STUDY_FIELDS}
    return {"model": model, "weights": weights, "version": VERSION, "theta": theta, "seed": seed} | texts


def check(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings in their usual form.

    Raises:
        InvalidInputError: naming the first that is unknown, missing or out of range.
    """
    unknown = sorted(set(settings) - set(_GIVEN))
    if unknown:
        raise InvalidInputError(f"a study has no setting {unknown[0][:60]!r}; it has: {', '.join(_GIVEN)}.")
    model, weights = settings.get("model"), settings.get("weights")
    for name, value in (("model", model), ("weights", weights)):
        if not isinstance(value, str) or not value:
            raise InvalidInputError(f"{name}: expected that of a classifier; got {str(value)[:60]!r}.")
    form, errors = read_study_form({name: str(settings[name]) for name in STUDY_FIELDS if name in settings})
    if errors:
        raise InvalidInputError(next(iter(errors.values())))
    fitted = round(form.share * form.images)
    if not 0 < fitted < form.images:
        raise InvalidInputError(
            f"share: {form.share:g} of {form.images} images is {fitted} to fit on; take more images, or another share."
        )
    theta, seed = (p.parse(settings.get(p.name, p.default)) for p in (THETA, SEED))
    return study_settings(str(model), str(weights), float(theta), int(seed), form)


def link(job: Job) -> str:
    """Where the outcome of a study is shown, with the form as it was."""
    form, _ = read_study_form({name: str(job.settings[name]) for name in STUDY_FIELDS if name in job.settings})
    given = {name: job.settings[name] for name in ("model", "theta", "seed") if name in job.settings}
    return "/detect?" + urlencode({**given, **form.to_fields(), "study": job.id})
