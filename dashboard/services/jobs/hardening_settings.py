"""What a hardening may be asked for, checked before it waits in the queue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from dashboard.selection import SEED
from dashboard.services.classifiers import LoadedClassifier
from dashboard.services.jobs.job import Job
from dashboard.studies.harden_form import HARDEN_FIELDS, WITH, HardenForm, field_text, read_harden_form
from engine.errors import InvalidInputError
from engine.hardening.catalogue import hardening_methods
from engine.hardening.hardening import usual_method
from engine.hardening.settings import TrainingSettings, training_preset
from engine.hardening.state import identity
from engine.network.catalogue import models
from engine.version import VERSION

KIND = "harden"
MAX_NAME = 60
#: What the name of a model that was stopped ends in; room for it is kept in every name.
STOPPED = "-epoch{epoch}"
_STOPPED_ROOM = len(STOPPED.format(epoch=1000))
_TRAINING = ("start", "epochs", "rate", "batch", "trained")
_KNOWN = ("model", "weights", "version", "way", "way_settings", *_TRAINING, "seed")
_ENDING = re.compile(rf"-({'|'.join(hardening_methods.names())})-[0-9a-f]{{8}}(-epoch\d+)?$")


def completed(form: HardenForm, loaded: LoadedClassifier) -> HardenForm:
    """The form with what is usual for the method and the data set where it says nothing.

    Raises:
        InvalidInputError: for more training images than there are, or a model of an architecture that is not in the
            catalogue: its weights could be trained, but no card says how to load them again.
    """
    classifier, data = loaded.classifier, loaded.dataset
    if classifier.architecture not in models:
        raise InvalidInputError(
            f"model: expected one whose architecture is in the catalogue; {classifier.label} is of "
            f"{classifier.architecture}. Harden it with engine.hardening in a program of your own."
        )
    start = form.start or hardening_methods[form.way].facts["start"]
    preset = training_preset(classifier.architecture, data, start)
    there = len(data.train)
    trained = min(preset.images or there, there) if form.trained is None else form.trained
    if trained > there:
        raise InvalidInputError(f"trained: expected at most {there:,} training images, which there are; got {trained}.")
    return replace(
        form,
        start=start,
        epochs=form.epochs or preset.epochs,
        rate=form.rate or preset.lr,
        batch=form.batch or preset.batch_size,
        trained=trained,
        ways=tuple(sorted(usual_method(form.way, data, **dict(form.ways)).settings.items())),
    )


def hardening_settings(model: str, loaded: LoadedClassifier, form: HardenForm, seed: int) -> dict[str, Any]:
    """The settings of a job, with every value written out, so that they ask for the same wherever they are read.

    Raises:
        InvalidInputError: as :func:`completed`.
    """
    form = completed(form, loaded)
    return {
        "model": model, "weights": loaded.classifier.key, "version": VERSION, "way": form.way,
        "way_settings": dict(form.ways), **{name: getattr(form, name) for name in _TRAINING}, "seed": seed,
    }  # fmt: skip


def check(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings in their usual form.

    Raises:
        InvalidInputError: naming the first that is unknown, missing or out of range.
    """
    unknown = sorted(set(settings) - set(_KNOWN))
    if unknown:
        raise InvalidInputError(f"a hardening has no setting {unknown[0][:60]!r}; it has: {', '.join(_KNOWN)}.")
    for name in ("model", "weights"):
        if not isinstance(settings.get(name), str) or not settings[name]:
            raise InvalidInputError(f"{name}: expected that of a classifier; got {str(settings.get(name))[:60]!r}.")
    form = form_of(settings)
    for name in _TRAINING:
        if getattr(form, name) is None:
            raise InvalidInputError(f"{name}: expected a value; a hardening is asked for with all of them.")
    method = hardening_methods[form.way].create(**dict(form.ways))
    return {
        "model": settings["model"], "weights": settings["weights"], "version": VERSION, "way": form.way,
        "way_settings": dict(sorted(method.settings.items())), **{name: getattr(form, name) for name in _TRAINING},
        "seed": int(SEED.parse(settings.get("seed", SEED.default))),
    }  # fmt: skip


def form_of(settings: Mapping[str, Any]) -> HardenForm:
    """The form in the settings of a job.

    Raises:
        InvalidInputError: for the first field that is wrong.
    """
    ways = settings.get("way_settings", {})
    if not isinstance(ways, Mapping):
        raise InvalidInputError(f"way_settings: expected settings by name; got {str(ways)[:60]!r}.")
    query = {name: field_text(settings[name]) for name in HARDEN_FIELDS if settings.get(name) is not None}
    form, errors = read_harden_form(query | {f"{WITH}{name}": field_text(value) for name, value in ways.items()})
    if errors:
        raise InvalidInputError(next(iter(errors.values())))
    return form


def training_of(settings: Mapping[str, Any], loaded: LoadedClassifier) -> TrainingSettings:
    """The settings of the training that a job asks for: its own, and for the rest those of the data set's preset."""
    preset = training_preset(loaded.classifier.architecture, loaded.dataset, settings["start"])
    return replace(
        preset, epochs=settings["epochs"], lr=settings["rate"], batch_size=settings["batch"], images=settings["trained"]
    )


def model_name(settings: Mapping[str, Any]) -> str:
    """What the hardened model is called: ``<parent>-<method>-<hash of the settings>``.

    The ending that a hardened parent got in the same way is replaced, so that names do not grow from run to run.
    """
    ending = f"-{settings['way']}-{identity(settings)[:8]}"
    parent = _ENDING.sub("", str(settings["model"]))
    return parent[: MAX_NAME - len(ending) - _STOPPED_ROOM] + ending


def link(job: Job) -> str:
    """Where a hardening is shown, with the form as it was."""
    query = {name: str(job.settings[name]) for name in ("model", "seed") if name in job.settings}
    with suppress(InvalidInputError):  # asked for by another version; its outcome may be readable all the same
        query |= form_of(job.settings).to_fields()
    return "/harden?" + urlencode({**query, KIND: job.id})
