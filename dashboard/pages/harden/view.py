"""The outcome of the chosen comparison, and the layer of it that is looked at closely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.components.figure_card import Nothing, Waiting
from dashboard.selection import Selection
from dashboard.services import Services
from engine.errors import EngineError

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the page shows of a comparison.

    Attributes:
        report: its outcome, see :mod:`dashboard.services.jobs.comparison`.
        layer: name of the layer looked at closely; None where nothing is known of the models' inside.
    """

    report: Mapping[str, Any]
    layer: str | None

    @property
    def labels(self) -> list[str]:
        """What a person reads of the models; the others are compared with the first."""
        return [model["label"] for model in self.report["models"]]

    @property
    def rows(self) -> list[tuple[str, list[Row]]]:
        """By attack, the clean images first, what was measured of each model."""
        tables = [study["table"]["rows"] for study in self.report["studies"]]
        return [(of_attack[0]["label"], list(of_attack)) for of_attack in zip(*tables, strict=True)]

    @property
    def insides(self) -> Sequence[Mapping[str, Any]]:
        """What is known of each model's inside.

        Raises:
            Nothing: if nothing is, with the reason.
        """
        if self.report["effects"] is None:
            raise Nothing(self.report["no_effects"])
        return self.report["effects"]["models"]

    @property
    def curves(self) -> list[dict[str, Any]]:
        """Of each model the accuracy by strength."""
        found = []
        for label, study in zip(self.labels, self.report["studies"], strict=True):
            rows = study["curve"]["table"]["rows"]
            values = {name: [row[name] for row in rows] for name in ("accuracy", "low", "high")}
            found.append({"label": label, "epsilons": study["curve"]["epsilons"], **values})
        return found

    def verdict(self, place: int, attack: str) -> Mapping[str, Any] | None:
        """How a model differs from the first under an attack, image by image; None for the first itself."""
        comparison, name = self.report["comparison"], self.report["models"][place]["name"]
        if place == 0 or comparison is None:
            return None
        return next(
            (each for each in comparison["differences"] if (each["model"], each["attack"]) == (name, attack)), None
        )

    def checks(self, verdict: str) -> list[tuple[str, Mapping[str, Any]]]:
        """The looks for gradient masking that came to a verdict, each with its model's label."""
        studies = zip(self.labels, self.report["studies"], strict=True)
        return [
            (label, one) for label, study in studies for one in study["table"]["checks"] if one["verdict"] == verdict
        ]

    def units(self) -> list[dict[str, Any]]:
        """Of each model that has the layer looked at, the sensitivities of its units.

        Raises:
            Nothing: if none has it, or nothing is known.
        """
        insides = self.insides
        found = [
            {"label": inside["label"], "sensitivity": entry["units"]}
            for inside in insides
            for entry in inside["sensitivity"]
            if entry["layer"] == self.layer
        ]
        if not found:
            there = ", ".join(layer_names(self.report))
            raise Nothing(f"This comparison has no layer {str(self.layer)[:60]!r}; it has: {there}.")
        return found


def layer_names(report: Mapping[str, Any]) -> list[str]:
    """The layers whose units were measured, in any of the models."""
    effects = report["effects"] or {"models": []}
    return list(dict.fromkeys(entry["layer"] for inside in effects["models"] for entry in inside["sensitivity"]))


def view_or_wait(services: Services, selection: Selection) -> View:
    """The outcome of a selection's comparison.

    Raises:
        Waiting: while there is none.
        EngineError: if it cannot be read.
    """
    chosen = selection.comparison
    report = services.comparisons.outcome(chosen, selection.model) if chosen else None
    if report is None:
        raise Waiting
    return View(report, selection.layer or next(reversed(layer_names(report)), None))


def view_or_none(services: Services, search: str) -> View | None:
    """The outcome of a query string's comparison; None where there is none: the status and the cards say why."""
    try:
        return view_or_wait(services, services.select(search))
    except (EngineError, Waiting):
        return None
