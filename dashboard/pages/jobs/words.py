"""The settings and the outcome of a job in words."""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.selection import SEED, THETA
from dashboard.services import Services
from dashboard.services.jobs.job import Job
from dashboard.studies.form import BASELINES, BUDGET, IMAGES, LAYERS, PART, SHARE, SWEPT, attack_choices
from dashboard.studies.harden_form import JUDGED, PHASED, TRAINING_SETTINGS
from engine.detection.catalogue import detectors
from engine.hardening.catalogue import hardening_methods

# Settings mean the same in every kind of job that has them.
_PARAMETERS = (THETA, SEED, IMAGES, PART, LAYERS, SHARE, BUDGET, *TRAINING_SETTINGS, JUDGED, PHASED)
_LABELS = {parameter.name: parameter.label for parameter in _PARAMETERS} | {
    "way": "Method", "way_settings": "Settings of the method", "others": "Compared with",
    "others_weights": "Their weights", "harden": "Job of the hardening",
}  # fmt: skip
_HASHES = ("weights", "others_weights")
_HASH_SHOWN = 12


def settings_in_words(services: Services, job: Job) -> list[tuple[str, str]]:
    """What a job was asked for: a name and a value per setting."""
    kinds = services.jobs.kinds
    own = {parameter.name: parameter.label for parameter in kinds[job.kind].parameters} if job.kind in kinds else {}
    known = _known_values(services)
    rows = []
    for name, value in job.settings.items():
        label = own.get(name) or _LABELS.get(name) or words_of(name)
        rows.append((label, _value(name, value, known.get(name))))
    return rows


def _known_values(services: Services) -> dict[str, Mapping[str, str]]:
    """What a person reads for the names that some settings list."""
    return {
        "model": services.choices.labels(),
        "attacks": attack_choices(),
        "detectors": {entry.name: entry.label for entry in detectors},
        "baselines": BASELINES,
        "sweeps": SWEPT,
        "others": services.choices.labels(),
        "way": {entry.name: entry.label for entry in hardening_methods},
    }


def _value(name: str, value: object, labels: Mapping[str, str] | None) -> str:
    if name in _HASHES and isinstance(value, str) and len(value) > _HASH_SHOWN:
        return "; ".join(f"{one[:_HASH_SHOWN]}… (checksum)" for one in value.split(","))
    if name == "layers" and value in (0, "0"):
        return "all"
    if labels is not None and isinstance(value, str) and value:
        return "; ".join(labels.get(one, one) for one in value.split(","))
    return plain(value)


def words_of(name: str) -> str:
    """A setting's name as words."""
    return name.replace("_", " ").replace("-", " ")


def plain(value: object) -> str:
    """A plain JSON value as a person reads it."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, Mapping):
        return "; ".join(f"{words_of(str(name))}: {plain(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value)) or "none"
    return str(value)
