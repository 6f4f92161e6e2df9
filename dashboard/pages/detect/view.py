"""The outcome of the chosen study, and what of it is looked at closely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.components.figure_card import Nothing, Waiting
from dashboard.selection import Selection
from dashboard.services import Services
from dashboard.studies.words import method_label
from engine.errors import EngineError

NOTHING_TO_DETECT = "No attack succeeded on an image that the detectors are judged on, so there is nothing to detect."


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the page shows.

    Attributes:
        study: id of the job.
        report: the study's outcome, see :mod:`engine.detection.report`.
        method: looked at closely.
        against: attack looked at closely; None where the method found nothing to judge.
        threshold: score above which an image is flagged.
    """

    study: str
    report: Mapping[str, Any]
    method: str
    against: str | None
    threshold: float

    @property
    def details(self) -> Mapping[str, Any]:
        """What was measured of the method."""
        return self.report["methods"][self.method]

    @property
    def usual_threshold(self) -> float:
        """The threshold that flags 5 % of the normal images."""
        return self.details["threshold"]

    @property
    def normal(self) -> np.ndarray:
        """(N,) scores of the normal images."""
        return np.array(self.details["normal"]["scores"])

    @property
    def attacked(self) -> np.ndarray:
        """(M,) scores of the attacked images."""
        return np.array(self.details["attacked"][self.against]["scores"]) if self.against else np.empty(0)


def view_or_wait(services: Services, selection: Selection) -> View:
    """The outcome of a selection's study.

    Raises:
        Waiting: while there is none.
        Nothing: for a method or an attack that the study does not have.
        EngineError: if it cannot be read.
    """
    report = services.studies.outcome(selection.study, selection.model) if selection.study else None
    if report is None or selection.study is None:
        raise Waiting
    methods = list(report["methods"])
    method = selection.method or methods[0]
    if method not in methods:
        raise Nothing(f"This study has no method {method[:60]!r}; it has: {', '.join(methods)}.")
    attacks = list(report["methods"][method]["curves"])
    against = selection.against or (attacks[0] if attacks else None)
    if against is not None and against not in attacks:
        raise Nothing(f"This study judged no attack {against[:60]!r}; it judged: {', '.join(attacks)}.")
    usual = report["methods"][method]["threshold"]
    return View(selection.study, report, method, against, usual if selection.threshold is None else selection.threshold)


def view_or_none(services: Services, search: str) -> tuple[Selection, View] | None:
    """A query string's selection and outcome; None where there is none: the page's status and its cards say why."""
    try:
        selection = services.select(search)
        return selection, view_or_wait(services, selection)
    except (EngineError, Waiting, Nothing):
        return None


def method_labels(report: Mapping[str, Any]) -> dict[str, str]:
    """All methods of a study, for a person."""
    return {method: method_label(method) for method in report["methods"]}
