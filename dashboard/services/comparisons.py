"""Comparisons of models: asked for, followed and read."""

from __future__ import annotations

from dashboard.selection import Selection
from dashboard.services.jobs.comparison_settings import KIND, comparison_settings, others_of
from dashboard.services.jobs.hardening_files import REPORT
from dashboard.services.jobs.job import Job
from dashboard.services.outcomes import Outcomes
from engine.errors import InvalidInputError


class Comparisons(Outcomes):
    """The jobs that compare a model with others."""

    kind, called, field, file = KIND, "comparison of models", "comparison", REPORT

    def is_readable(self, job: Job) -> bool:
        """Whether this version understands what a job was asked for."""
        try:
            others_of(job.settings)
        except InvalidInputError:
            return False
        return True

    def submit(self, selection: Selection) -> Job:
        """Puts a comparison in the queue; an equal one that is there already, or finished, is given back.

        Args:
            selection: model, seed and the form: how many images, and the models beside it.

        Raises:
            InvalidInputError: for models of other data sets.
            EngineError: if a model cannot be used, or nothing can be written.
        """
        loaded = self._classifiers.get(selection.model)
        loaded.classifier.require_sound()
        form, others = selection.harden_form, {}
        for name in form.beside:
            other = self._classifiers.get(name)
            other.classifier.require_sound()
            if other.dataset.key != loaded.dataset.key:
                raise InvalidInputError(
                    f"beside: expected models for {loaded.dataset.label}, as this one; {other.classifier.label} is for "
                    f"{other.dataset.label}."
                )
            if name != selection.model:
                others[name] = other.classifier.key
        settings = comparison_settings(selection.model, loaded.classifier.key, others, form.judged, selection.seed)
        count = len(others) + 1
        what = f"Comparison of {count} models" if others else "Robustness"
        return self._jobs.submit(self.kind, settings, label=f"{what} · {loaded.classifier.label}")
