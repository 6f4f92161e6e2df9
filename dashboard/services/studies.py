"""Detection studies: asked for, followed, read, and their fitted detectors put to use on one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from dashboard.services.classifiers import Classifiers
from dashboard.services.computations import Computations
from dashboard.services.inspection import Subject
from dashboard.services.jobs.detection import DETECTORS, STUDY, plans_of
from dashboard.services.jobs.detection_settings import KIND, study_settings
from dashboard.services.jobs.job import Job
from dashboard.services.jobs.queue import JobQueue
from dashboard.services.outcomes import Kept, Outcomes
from dashboard.studies.form import StudyForm, read_study_form
from engine.detection.catalogue import detectors
from engine.detection.explanation import Explanation, explain
from engine.detection.features import path_features
from engine.detection.storage import DetectorCard, load_detector
from engine.detection.study import Plan
from engine.errors import InvalidInputError
from engine.paths.aggregation import ClassPaths
from engine.progress import Progress

KEPT_DETECTORS = 16
MAX_NAMED = 4


@dataclass(frozen=True, slots=True)
class SavedDetector:
    """A fitted detector that can judge single images.

    Attributes:
        study: id of the job it comes from.
        name: of the detector in the catalogue.
        label: what a person reads.
    """

    study: str
    name: str
    label: str

    @property
    def key(self) -> str:
        """How the URL names it."""
        return f"{self.study}:{self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What a saved detector says of an image.

    Attributes:
        card: what the detector was made from.
        explanation: score, threshold, and what each layer adds.
    """

    card: DetectorCard
    explanation: Explanation


class Studies(Outcomes):
    """The detection jobs of a queue."""

    kind, called, field, file = KIND, "detection study", "study", STUDY

    def __init__(self, jobs: JobQueue, classifiers: Classifiers, computations: Computations) -> None:
        """Uses the given queue, classifiers and computations."""
        super().__init__(jobs, classifiers)
        self._computations = computations
        self._detectors: Kept[tuple[Any, DetectorCard]] = Kept(KEPT_DETECTORS)

    def is_readable(self, job: Job) -> bool:
        """Whether this version understands what a job was asked for."""
        try:
            _form_of(job)
        except InvalidInputError:
            return False
        return True

    def submit(self, model: str, theta: float, seed: int, form: StudyForm) -> Job:
        """Puts a study in the queue; an equal one that is there already, or finished, is given back.

        Raises:
            EngineError: if the model cannot be used, or nothing can be written.
        """
        classifier = self._classifiers.get(model).classifier
        classifier.require_sound()
        settings = study_settings(model, classifier.key, theta, seed, form)
        return self._jobs.submit(KIND, settings, label=f"Detection of {_attacks_of(form)} · {classifier.label}")

    def plan(self, study: str, model: str, name: str) -> Plan:
        """The attack of that name in a study's tables.

        Raises:
            InvalidInputError: if there is none.
        """
        found = next((plan for plan in plans_of(_form_of(self.job(study, model))) if plan.name == name), None)
        if found is None:
            raise InvalidInputError(f"This version has no attack that makes {name[:60]!r}; fit the detectors anew.")
        return found

    def saved(self, model: str) -> list[SavedDetector]:
        """The detectors that were fitted for a model as it is now, the newest first."""
        return [
            SavedDetector(job.id, name, f"{detectors[name].label}, fitted on {_attacks_of(_form_of(job))}")
            for job in self.finished(model)
            for name in _form_of(job).detectors
        ]

    def card(self, model: str, detector: tuple[str, str]) -> DetectorCard:
        """What a saved detector was made from.

        Raises:
            EngineError: if it was made for another model, or its files are damaged.
        """
        return self._loaded(model, detector)[1]

    def judge(self, model: str, detector: tuple[str, str], subject: Subject, class_paths: ClassPaths) -> Judgement:
        """What a saved detector says of an image.

        Args:
            model: name of the classifier.
            detector: study and name of the detector.
            subject: the image.
            class_paths: of the classifier at the detector's θ.

        Raises:
            Pending: while it is being computed.
            EngineError: if the detector cannot be used here.
        """
        estimator, card = self._loaded(model, detector)
        classifier = self._classifiers.get(model).classifier

        def compute(_: Progress) -> Judgement:
            self._classifiers.wait_for_kernels()
            values = path_features(
                classifier.module, torch.from_numpy(subject.pixels)[None], class_paths, part=card.part,
                last_layers=card.last_layers, workers=1,
            ).values[0]  # fmt: skip
            return Judgement(card, explain(estimator, card.columns, values, card.usual, card.threshold))

        return self._computations.get(("judgement", classifier.key, detector, subject.key), compute)

    def _loaded(self, model: str, detector: tuple[str, str]) -> tuple[Any, DetectorCard]:
        job, name = self.job(detector[0], model), detector[1]
        loaded = self._classifiers.get(model)
        if job.state != "done" or name not in _form_of(job).detectors:
            raise InvalidInputError(f"detector: the study {job.label!r} has no fitted detector {name!r}.")

        def load() -> tuple[Any, DetectorCard]:
            folder = self._jobs.result(job) / DETECTORS / name
            try:
                return load_detector(folder, model_key=loaded.classifier.key, dataset_key=loaded.dataset.key)
            except InvalidInputError as error:  # where the files are is nothing that a browser should be told
                raise InvalidInputError(str(error).replace(str(folder), job.label)) from error

        return self._detectors.get((job.id, job.ended, name, loaded.classifier.key, loaded.dataset.key), load)


def _form_of(job: Job) -> StudyForm:
    """What a job was asked for.

    Raises:
        InvalidInputError: if it was asked by another version, or with an optional package that is gone.
    """
    form, errors = read_study_form({name: str(value) for name, value in job.settings.items()})
    if errors:
        raise InvalidInputError(f"{job.label}: {next(iter(errors.values()))}")
    return form


def _attacks_of(form: StudyForm) -> str:
    """The attacks, for a person; not all of them where they are many."""
    names = [plan.name for plan in plans_of(form)]
    if len(names) <= MAX_NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:MAX_NAMED])} and {len(names) - MAX_NAMED} more"
