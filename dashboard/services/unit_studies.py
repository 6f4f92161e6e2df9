"""Studies of units: asked for, followed and read."""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.selection import Selection
from dashboard.services.jobs.job import Job
from dashboard.services.jobs.unit_settings import form_of, unit_settings
from dashboard.services.outcomes import Outcomes
from engine.attacks.catalogue import attacks
from engine.errors import InvalidInputError

REPORT = "report.json"


class UnitStudies(Outcomes):
    """The jobs that study units; a subclass is one kind of them."""

    file = REPORT

    def submit(self, selection: Selection) -> Job:
        """Puts a study in the queue; an equal one that is there already, or finished, is given back.

        Args:
            selection: model, attack, seed and the form of the study.

        Raises:
            EngineError: if a model cannot be used, or nothing can be written.
        """
        classifier = self._classifiers.get(selection.model).classifier
        classifier.require_sound()
        form = selection.unit_form
        settings = unit_settings(self.kind, classifier.key, selection, form, self._others(selection))
        label = f"{self.called.capitalize()} under {attacks[selection.attack].label} · {classifier.label}"
        return self._jobs.submit(self.kind, settings, label=label)

    def is_readable(self, job: Job) -> bool:
        """Whether this version understands what a job was asked for."""
        try:
            form_of(job.settings)
        except InvalidInputError:
            return False
        return str(job.settings.get("attack")) in attacks

    def _others(self, selection: Selection) -> Mapping[str, str]:
        """The content keys of the models that are compared.

        Raises:
            InvalidInputError: for one that takes other images.
        """
        shape = self._classifiers.get(selection.model).classifier.image_shape
        keys = {}
        for name in selection.unit_form.others:
            other = self._classifiers.get(name).classifier
            other.require_sound()
            if other.image_shape != shape:
                raise InvalidInputError(
                    f"others: expected models for images {shape}, as this one; {other.label} takes {other.image_shape}."
                )
            if name != selection.model:
                keys[name] = other.key
        return keys


class SensitivityStudies(UnitStudies):
    """Which units react to an attack."""

    kind, called, field = "sensitivity", "sensitivity of units", "sensitivity"


class RouteStudies(UnitStudies):
    """Along which units an attack travels."""

    kind, called, field = "route", "critical route", "route"
