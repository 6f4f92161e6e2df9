"""The outcome of the chosen study, and the layer and unit of it that are looked at closely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dashboard.components.figure_card import Nothing, Waiting
from dashboard.selection import Selection
from dashboard.services import Services
from engine.errors import EngineError
from engine.network.units import ACTIVATED
from engine.sensitivity.ranking import units_in_share


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What the page shows.

    Attributes:
        study: id of the job.
        report: the study's outcome, see :mod:`engine.sensitivity.report`.
        entry: of the report, what was measured of the layer looked at.
        chosen: number of the unit that was chosen in this layer, or None; the layer may not have it.
        elsewhere: layer of the chosen unit where that is another one, on the Inspect page perhaps; else None.
    """

    study: str
    report: Mapping[str, Any]
    entry: Mapping[str, Any]
    chosen: int | None
    elsewhere: str | None = None

    @property
    def layer(self) -> str:
        """Name of the layer looked at, as the report has it."""
        return self.entry["name"]

    @property
    def order(self) -> list[int]:
        """The layer's units, the most sensitive first."""
        return np.argsort(-np.array(self.entry["sensitivity"], np.float64), kind="stable").tolist()

    @property
    def sensitive(self) -> list[int]:
        """Those that count as sensitive."""
        return self.order[: units_in_share(self.entry["units"], self.report["settings"]["share"])]

    @property
    def unit(self) -> int:
        """The unit looked at: the chosen one, or the most sensitive.

        Raises:
            Nothing: if the layer does not have the chosen one.
        """
        if self.elsewhere is not None:
            raise Nothing(
                f"The chosen unit is one of {self.elsewhere}, not of {plain_layer(self.layer)}. Choose another."
            )
        if self.chosen is None:
            return self.order[0]
        if self.chosen >= self.entry["units"]:
            last = self.entry["units"] - 1
            raise Nothing(f"{plain_layer(self.layer)} has the units 0 to {last}; there is no unit {self.chosen}.")
        return self.chosen

    def suppression(self, layer: str) -> Mapping[str, Any] | None:
        """What damping the sensitive units of a layer does; None where it was not measured."""
        return next((entry for entry in self.report["suppression"] if entry["layer"] == layer), None)

    def rank(self, unit: int) -> int:
        """The place of a unit among those of its layer, from 1."""
        return self.order.index(unit) + 1


def plain_layer(name: str) -> str:
    """A layer's name as the URL and a person have it: without the mark of units looked at after their activation."""
    return name.removesuffix(ACTIVATED)


def named(report: Mapping[str, Any], layer: str) -> Mapping[str, Any] | None:
    """What a report has of a layer, by either of its names."""
    return next((entry for entry in report["layers"] if plain_layer(entry["name"]) == plain_layer(layer)), None)


def view_or_wait(services: Services, selection: Selection) -> View:
    """The outcome of a selection's study.

    Raises:
        Waiting: while there is none.
        Nothing: for a layer that the study does not have.
        EngineError: if it cannot be read.
    """
    study = selection.sensitivity
    report = services.sensitivity.outcome(study, selection.model) if study else None
    if report is None or study is None:
        raise Waiting
    of_unit, unit = selection.unit or (None, None)
    layer = selection.layer or of_unit or report["layers"][0]["name"]
    entry = named(report, layer)
    if entry is None:
        raise Nothing(f"This study has no layer {layer[:60]!r}; it has: {', '.join(layer_names(report))}.")
    if of_unit is not None and plain_layer(of_unit) != plain_layer(layer):
        return View(study, report, entry, None, of_unit[:60])
    return View(study, report, entry, unit)


def view_or_none(services: Services, search: str) -> tuple[Selection, View] | None:
    """A query string's selection and outcome; None where there is none: the page's status and its cards say why."""
    try:
        selection = services.select(search)
        return selection, view_or_wait(services, selection)
    except (EngineError, Waiting, Nothing):
        return None


def layer_names(report: Mapping[str, Any]) -> list[str]:
    """The layers of a report as the URL has them."""
    return [plain_layer(entry["name"]) for entry in report["layers"]]


def models_of(report: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """All models of a report, its own first: label and layers of each."""
    return [{"label": report["label"], "layers": report["layers"]}, *report["models"]]


def having(report: Mapping[str, Any], layer: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Of the models that have a layer of that name, the label and what was measured of it; its own comes first."""
    found = [(model["label"], named(model, layer)) for model in models_of(report)]
    return [(label, entry) for label, entry in found if entry is not None]
