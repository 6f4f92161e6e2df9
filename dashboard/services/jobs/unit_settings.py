"""What a study of units may be asked for, checked before it waits in the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from dashboard.selection import SEED, SETTING, Selection
from dashboard.services.jobs.job import Job
from dashboard.studies.fields import plain_text
from dashboard.studies.unit_form import UnitForm, read_unit_form
from engine.attacks.catalogue import attacks
from engine.errors import InvalidInputError
from engine.registry import Parameter, Value
from engine.version import VERSION

#: By kind of job: the page that shows its outcome, the field of the URL that names it, and the fields of its form.
PAGES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "sensitivity": ("/sensitivity", "sensitivity", ("pairs", "where", "top", "others")),
    "route": ("/route", "route", ("pairs", "routed", "instance", "kept")),
}
_COMMON = ("model", "weights", "version", "attack", "attack_settings", "seed")


def unit_settings(
    kind: str, weights: str, selection: Selection, form: UnitForm, others: Mapping[str, str]
) -> dict[str, Any]:
    """The settings of a job.

    Args:
        kind: "sensitivity" or "route".
        weights: content key of the selection's model.
        selection: model, attack and seed.
        form: the rest.
        others: content keys of the other models, by name.
    """
    given = dict(selection.settings)
    parameters = {parameter.name: parameter for parameter in attacks[selection.attack].parameters}
    if "epsilon" in parameters and selection.epsilon is not None:
        given["epsilon"] = selection.epsilon
    usual = {name: parameter.default for name, parameter in parameters.items()}
    texts = {name: plain_text(getattr(form, name)) for name in PAGES[kind][2]}
    return {
        "model": selection.model, "weights": weights, "version": VERSION, "attack": selection.attack,
        "attack_settings": usual | given, "seed": selection.seed, **texts,
        **({"others": ",".join(others), "others_weights": ",".join(others.values())} if "others" in texts else {}),
    }  # fmt: skip


def checked(kind: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings in their usual form.

    Raises:
        InvalidInputError: naming the first that is unknown, missing or out of range.
    """
    fields = PAGES[kind][2]
    known = (*_COMMON, *fields, *(("others_weights",) if "others" in fields else ()))
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise InvalidInputError(f"such a study has no setting {unknown[0][:60]!r}; it has: {', '.join(known)}.")
    for name in ("model", "weights"):
        if not isinstance(settings.get(name), str) or not settings[name]:
            raise InvalidInputError(f"{name}: expected that of a classifier; got {str(settings.get(name))[:60]!r}.")
    form = form_of(settings)
    attack = str(settings.get("attack", "pgd_linf"))
    values = attack_values(attack, settings.get("attack_settings", {}))
    seed = int(SEED.parse(settings.get("seed", SEED.default)))
    texts = {name: plain_text(getattr(form, name)) for name in fields}
    keys = {"others_weights": str(settings.get("others_weights", ""))} if "others" in fields else {}
    return {
        "model": settings["model"], "weights": settings["weights"], "version": VERSION, "attack": attack,
        "attack_settings": values, "seed": seed, **texts, **keys,
    }  # fmt: skip


def form_of(settings: Mapping[str, Any]) -> UnitForm:
    """The form in the settings of a job.

    Raises:
        InvalidInputError: for the first field that is wrong.
    """
    names = {name for _, _, fields in PAGES.values() for name in fields}
    form, errors = read_unit_form({name: str(settings[name]) for name in names if name in settings})
    if errors:
        raise InvalidInputError(next(iter(errors.values())))
    return form


def attack_values(attack: str, given: object) -> dict[str, Value]:
    """All settings of an attack, checked.

    Raises:
        UnknownNameError: for an attack that is not in the catalogue.
        InvalidInputError: for a setting that it does not have, or a value out of range.
    """
    if not isinstance(given, Mapping):
        raise InvalidInputError(f"attack_settings: expected settings by name; got {str(given)[:60]!r}.")
    parameters: Sequence[Parameter] = attacks[attack].parameters
    unknown = sorted(set(given) - {parameter.name for parameter in parameters})
    if unknown:
        raise InvalidInputError(f"attack_settings: {attacks[attack].label} has no setting {unknown[0][:60]!r}.")
    return {one.name: one.parse(given.get(one.name, one.default)) for one in parameters}


def link(job: Job) -> str:
    """Where the outcome of a study is shown, with the form as it was."""
    path, field, _ = PAGES[job.kind]
    query = {name: str(job.settings[name]) for name in ("model", "attack", "seed") if name in job.settings}
    attack = str(job.settings.get("attack", ""))
    usual = {one.name: one.default for one in attacks[attack].parameters} if attack in attacks else {}
    for name, value in job.settings.get("attack_settings", {}).items():
        if name in usual and value != usual[name]:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            query[name if name == "epsilon" else SETTING + name] = text
    with suppress(InvalidInputError):  # made by another version; its outcome may be readable all the same
        query |= form_of(job.settings).to_fields()
    return f"{path}?" + urlencode({**query, field: job.id})
