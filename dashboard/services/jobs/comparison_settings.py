"""What a comparison of models may be asked for, checked before it waits in the queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from dashboard.selection import SEED
from dashboard.services.jobs.job import Job
from dashboard.studies.fields import plain_text, read_names
from dashboard.studies.harden_form import JUDGED, MAX_BESIDE
from engine.errors import InvalidInputError
from engine.version import VERSION

KIND = "comparison"
_KNOWN = ("model", "weights", "version", "others", "others_weights", "judged", "seed")


def comparison_settings(model: str, weights: str, others: Mapping[str, str], judged: int, seed: int) -> dict[str, Any]:
    """The settings of a job; the other models in alphabetical order, so that the same ones are compared once.

    Args:
        model: name of the classifier that the others are compared with.
        weights: its content key.
        others: content keys of the other classifiers, by name.
        judged: number of test images.
        seed: of the attacks.
    """
    return {
        "model": model, "weights": weights, "version": VERSION, "others": ",".join(sorted(others)),
        "others_weights": ",".join(others[name] for name in sorted(others)), "judged": judged, "seed": seed,
    }  # fmt: skip


def check(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings in their usual form.

    Raises:
        InvalidInputError: naming the first that is unknown, missing or out of range.
    """
    unknown = sorted(set(settings) - set(_KNOWN))
    if unknown:
        raise InvalidInputError(f"a comparison has no setting {unknown[0][:60]!r}; it has: {', '.join(_KNOWN)}.")
    for name in ("model", "weights"):
        if not isinstance(settings.get(name), str) or not settings[name]:
            raise InvalidInputError(f"{name}: expected that of a classifier; got {str(settings.get(name))[:60]!r}.")
    names, keys = others_of(settings), _keys(settings)
    if len(names) != len(keys):
        raise InvalidInputError(f"others_weights: expected one for each of {len(names)} models; got {len(keys)}.")
    if settings["model"] in names:
        raise InvalidInputError(f"others: expected models beside {settings['model']}; it is among them.")
    judged, seed = (p.parse(settings.get(p.name, p.default)) for p in (JUDGED, SEED))
    others = dict(zip(names, keys, strict=True))
    return comparison_settings(settings["model"], settings["weights"], others, int(judged), int(seed))


def others_of(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the models that are compared with the first.

    Raises:
        InvalidInputError: for what is no name, or too many.
    """
    return read_names("others", str(settings.get("others", "")), MAX_BESIDE)


def keys_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """The content keys of all models by name, the first being what the others are compared with."""
    others = zip(others_of(settings), _keys(settings), strict=True)
    return {str(settings["model"]): str(settings["weights"]), **dict(others)}


def link(job: Job) -> str:
    """Where a comparison is shown, with the form as it was."""
    given = {"model": "model", "seed": "seed", "judged": "judged", "beside": "others"}
    query = {field: plain_text(job.settings[name]) for field, name in given.items() if job.settings.get(name)}
    return "/harden?" + urlencode({**query, KIND: job.id})


def _keys(settings: Mapping[str, Any]) -> list[str]:
    return [key for key in str(settings.get("others_weights", "")).split(",") if key]
