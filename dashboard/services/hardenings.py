"""Hardenings: asked for, followed, kept, and the models that came of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dashboard.selection import Selection
from dashboard.services.classifiers import Classifiers, LoadedClassifier
from dashboard.services.jobs.hardening import free_label, save_weights
from dashboard.services.jobs.hardening_files import EPOCHS, REPORT, LastGood, epochs_kept, last_good, read_curves
from dashboard.services.jobs.hardening_settings import (
    KIND,
    STOPPED,
    completed,
    form_of,
    hardening_settings,
    model_name,
    training_of,
)
from dashboard.services.jobs.job import Job
from dashboard.services.jobs.queue import JobQueue
from dashboard.services.outcomes import Outcomes
from dashboard.studies.harden_form import HardenForm
from engine.errors import CheckpointError, InvalidInputError
from engine.hardening.catalogue import hardening_methods
from engine.hardening.state import epoch_weights
from engine.hardening.training import finished
from engine.network.checkpoint import load_checkpoint
from engine.network.classifiers import remove_classifier

#: What a job is called that has no result and does not run.
STOPPED_STATES = ("failed", "cancelled", "interrupted")
#: Settings of jobs that name models.
_NAMING = ("model", "others")


@dataclass(frozen=True, slots=True)
class OwnModel:
    """A model in the server's own folder.

    Attributes:
        name: identifier.
        label: what a person reads.
        parent: name of the model that it came from, "" if its card names none.
        way: name of the method that made it, "" if its card names none.
        way_label: what a person reads of the method.
        accuracy: share of the test images right, from 0 to 1; of a run that was stopped, of the held-out ones; None if
            its card does not say.
        made: when its files were written, unix seconds.
        job: id of the job that made it, "" if none did.
        problem: why it cannot be used, "" if nothing is wrong with its card.
        facts: its whole card.
    """

    name: str
    label: str
    parent: str
    way: str
    way_label: str
    accuracy: float | None
    made: float
    job: str
    problem: str
    facts: Mapping[str, Any]

    @property
    def date(self) -> datetime:
        """When it was made, in universal time."""
        return datetime.fromtimestamp(self.made, UTC)


class Hardenings(Outcomes):
    """The jobs that train models against attacks."""

    kind, called, field, file = KIND, "hardening", "harden", REPORT

    def __init__(self, jobs: JobQueue, classifiers: Classifiers, folder: Path) -> None:
        """Uses the given queue and classifiers; ``folder`` holds the server's own models."""
        super().__init__(jobs, classifiers)
        self._folder = folder

    def is_readable(self, job: Job) -> bool:
        """Whether this version understands what a job was asked for."""
        try:
            form_of(job.settings)
        except InvalidInputError:
            return False
        return True

    def usual(self, selection: Selection) -> HardenForm:
        """What is done where the form says nothing: the preset of its method, start and data set, wholly filled in.

        Raises:
            EngineError: if the model cannot be hardened here.
        """
        form = selection.harden_form
        return completed(HardenForm(way=form.way, start=form.start), self._classifiers.get(selection.model))

    def submit(self, selection: Selection) -> Job:
        """Puts a hardening in the queue; an equal one that is there already, or finished, is given back.

        The model of a finished one is there afterwards, also if it was removed.

        Raises:
            EngineError: if the model cannot be hardened, or nothing can be written.
        """
        loaded = self._classifiers.get(selection.model)
        loaded.classifier.require_sound()
        settings = hardening_settings(selection.model, loaded, selection.harden_form, selection.seed)
        label = f"{hardening_methods[settings['way']].label} · {loaded.classifier.label}"
        job = self._jobs.submit(self.kind, settings, label=label)
        self._restore(job)
        return job

    def curves(self, job: Job) -> Mapping[str, Any] | None:
        """The learning curves in plain values, and ``epochs_wanted``; None before the first epoch has ended.

        They follow a run while it goes on, stay where it was stopped, and are the report's when it is done.

        Raises:
            EngineError: if the files of a finished run are damaged.
        """
        report = self.report(job)
        return read_curves(self._jobs.work(job)) if report is None else report["curves"]

    def report(self, job: Job) -> Mapping[str, Any] | None:
        """The report of a finished run: ``model`` (its name), ``label``, ``card``, ``curves``; None until then.

        Raises:
            EngineError: if its files are damaged.
        """
        if job.state != "done":
            return None

        def load() -> Mapping[str, Any]:
            found: Mapping[str, Any] = json.loads((self._jobs.result(job) / REPORT).read_text(encoding="utf-8"))
            return found

        return self._reports.get((job.id, job.ended), load)

    def kept_epochs(self, job: Job) -> int:
        """How many finished epochs a stopped, failed or cancelled run has left; 0 for another one."""
        return epochs_kept(self._jobs.work(job)) if job.state in STOPPED_STATES else 0

    def keep(self, job: Job) -> str:
        """Makes the last good checkpoint of a stopped run a model of its own; doing it again changes nothing.

        Returns:
            the model's name.

        Raises:
            EngineError: if the run goes on or is done, has no checkpoint, or its parent is gone.
        """
        if job.kind != self.kind or job.state not in STOPPED_STATES:
            raise InvalidInputError(f"{job.label}: expected a hardening that was stopped; it is {job.state}.")
        good = last_good(self._jobs.work(job))
        name = model_name(job.settings) + STOPPED.format(epoch=good.epoch)
        registry = self._classifiers.registry()
        if name in registry and "problem" not in registry[name].facts:
            return name
        loaded = self._classifiers.get(job.settings["model"])
        label = f"{loaded.classifier.label} · {hardening_methods[job.settings['way']].label}, epoch {good.epoch}"
        card = _card_of_stopped(job, loaded, good) | {"label": free_label(label, name, registry)}
        self._register(name, good.weights, card, job)
        return name

    def _restore(self, job: Job) -> None:
        """Makes the model of a finished run again, where somebody has removed it since."""
        report = self.report(job)
        if report is None or report["model"] in self._classifiers.registry():
            return
        card = {name: value for name, value in report["card"].items() if name not in ("sha256", "parameters")}
        epochs = epoch_weights(self._jobs.result(job) / EPOCHS)
        self._register(report["model"], epochs[max(epochs)], card, job)

    def _register(self, name: str, weights: Path, card: Mapping[str, Any], job: Job) -> None:
        """Makes a checkpoint of a run a model, as the run itself does at its end."""
        parent = job.settings["model"]
        # Not the module that pages are using just now: a fresh one, for the new weights.
        module = self._classifiers.registry()[parent].create().module
        broken = load_checkpoint(module, weights).non_finite
        if broken:
            raise InvalidInputError(f"{job.label}: its last checkpoint holds NaN or infinity ({broken[0]}).")
        training = training_of(job.settings, self._classifiers.get(parent))
        finished(module, training)
        save_weights(module, self._folder, name, card, training)

    def models(self) -> list[OwnModel]:
        """The server's own models, the newest first."""
        found = []
        for entry in self._classifiers.registry():
            try:
                made = (self._folder / f"{entry.name}.json").stat().st_mtime
            except OSError:  # a shipped one, or it has just gone
                continue
            found.append(_own_model(entry.name, entry.label, made, entry.facts))
        return sorted(found, key=lambda model: model.made, reverse=True)

    def remove(self, name: str) -> None:
        """Deletes a model of the server's own.

        Raises:
            UnknownNameError: if there is none of that name.
            InvalidInputError: for a shipped one, or one that an unfinished job uses.
        """
        using = next((job for job in self._jobs.jobs() if not job.has_ended and name in _models_of(job)), None)
        if using is not None:
            raise InvalidInputError(f"{name}: the job {using.label!r} uses it; wait for it, or cancel it first.")
        self._classifiers.registry()[name]
        if not (self._folder / f"{name}.json").is_file():
            raise InvalidInputError(f"{name}: expected a model that was made here; this one is part of the program.")
        try:
            remove_classifier(name, self._folder)
        except CheckpointError as error:  # where the files are is nothing that a browser should be told
            raise CheckpointError(str(error).replace(str(self._folder), "the folder of models")) from error


def _models_of(job: Job) -> Sequence[str]:
    return [name for field in _NAMING for name in str(job.settings.get(field, "")).split(",")]


def _own_model(name: str, label: str, made: float, facts: Mapping[str, Any]) -> OwnModel:
    way, curves = str(facts.get("method", "")), facts.get("curves")
    accuracy = facts.get("test_accuracy")
    if accuracy is None and isinstance(curves, Mapping):
        accuracy = curves.get("clean")
    return OwnModel(
        name=name,
        label=label,
        parent=str(facts.get("parent", "")),
        way=way,
        way_label=hardening_methods[way].label if way in hardening_methods else way,
        accuracy=float(accuracy) if isinstance(accuracy, int | float) else None,
        made=made,
        job=str(facts.get("job", "")),
        problem=str(facts.get("problem", "")),
        facts=facts,
    )


def _card_of_stopped(job: Job, loaded: LoadedClassifier, good: LastGood) -> dict[str, Any]:
    """A card as that of a finished run, but for what is only measured at its end."""
    data, about = loaded.dataset, good.about
    noted = ("architecture", "dataset", "dataset_key", "parent", "parent_key", "method", "method_settings", "training")
    return {
        **{name: about[name] for name in noted},
        **({"dataset_folder": data.folder} if data.folder else {}),
        "classes": list(data.classes),
        "image_shape": list(data.image_shape),
        **{name: about[name] for name in ("seed", "threads", "device")},
        "epochs": good.epoch,
        "stopped_after": good.epoch,
        "curves": good.curves.last(),
        "train_loss": round(float(good.curves.total[-1]), 6),
        "train_accuracy": round(float(good.curves.accuracy[-1]), 6),
        "job": job.id,
    }
