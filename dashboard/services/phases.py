"""Class paths over a training: asked for, followed and read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.selection import Selection
from dashboard.services.jobs.hardening_files import REPORT
from dashboard.services.jobs.hardening_settings import KIND as HARDENING
from dashboard.services.jobs.job import Job
from dashboard.services.jobs.phases_settings import KIND, check, phases_settings
from dashboard.services.outcomes import Outcomes
from engine.errors import InvalidInputError, UnknownNameError


class Phases(Outcomes):
    """The jobs that look at the checkpoints of a hardening."""

    kind, called, field, file = KIND, "view over training", "phases", REPORT

    def is_readable(self, job: Job) -> bool:
        """Whether this version understands what a job was asked for."""
        try:
            check(job.settings)
        except InvalidInputError:
            return False
        return True

    def reason(self, model: str) -> str:
        """Why there is nothing to look at for a model; "" if there is a run with checkpoints."""
        try:
            self._run_of(model)
        except InvalidInputError as error:
            return str(error)
        return ""

    def submit(self, selection: Selection) -> Job:
        """Puts the study of the run that made the selection's model in the queue, once.

        Raises:
            InvalidInputError: if no run made it here, or its checkpoints are gone; says which.
            EngineError: if the model cannot be used, or nothing can be written.
        """
        classifier = self._classifiers.get(selection.model).classifier
        classifier.require_sound()
        run = self._run_of(selection.model)
        settings = phases_settings(selection.model, classifier.key, run.id, selection.harden_form.phased)
        return self._jobs.submit(self.kind, settings, label=f"Class paths over training · {classifier.label}")

    def _run_of(self, model: str) -> Job:
        """The job that made a model.

        Raises:
            InvalidInputError: if none did, or it is gone.
        """
        classifier = self._classifiers.get(model).classifier
        card: Mapping[str, Any] = classifier.card
        if not card.get("job"):
            raise InvalidInputError(
                f"{classifier.label} was not trained here: there are no checkpoints of its training. Harden a model on "
                "the Harden page, with every epoch kept, and choose the new one."
            )
        gone = f"The checkpoints of {classifier.label} are gone: the job that made it was removed. Harden it again."
        try:
            run = self._jobs.job(str(card["job"]))
        except UnknownNameError:
            raise InvalidInputError(gone) from None
        if run.kind != HARDENING:
            raise InvalidInputError(gone)
        return run
