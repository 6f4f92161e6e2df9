"""What the page looks at: an image with its attacked copy, and the outcome of a study if there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.components.figure_card import Nothing, Waiting
from dashboard.selection import Selection
from dashboard.services import Services
from engine.errors import EngineError
from engine.network.units import ACTIVATED

# What the list of connections holds for all together: the URL then names none; the script knows it too.
WHOLE = "none"
Report = Mapping[str, Any]


def report_or_wait(services: Services, selection: Selection) -> Report:
    """The outcome of a selection's study, its layers named as the model names them.

    Raises:
        Waiting: while there is none.
        EngineError: if it cannot be read.
    """
    found = services.routes.outcome(selection.route, selection.model) if selection.route else None
    if found is None:
        raise Waiting
    report: Report = _without_suffix(found)
    return report


def report_or_none(services: Services, selection: Selection) -> Report | None:
    """The same; None also where it cannot be read: the page's status says why."""
    try:
        return report_or_wait(services, selection)
    except (EngineError, Waiting):
        return None


def route_of_model(report: Report | None) -> dict[str, list[int]] | None:
    """The units on the route of the model, by layer; None without a study."""
    return None if report is None else {layer["name"]: layer["chosen"] for layer in report["layers"]}


def connection_name(entry: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> str:
    """What the URL calls an entry of the weakening: the layer that reads, or that all were weakened together."""
    is_whole = len(entries) > 1 and entry is entries[-1]
    return WHOLE if is_whole else str(entry["layers"][-1])


def connection_of(report: Report, layer: str | None) -> Mapping[str, Any]:
    """The entry of the weakening that is looked at: the named one, else all connections together.

    Raises:
        Nothing: for a model of one convolution.
    """
    entries: Sequence[Mapping[str, Any]] = report["weakening"]
    if not entries:
        raise Nothing("No convolution of this model reads the units of another, so there are no connections to weaken.")
    named = {connection_name(entry, entries): entry for entry in entries}
    return named.get(layer or WHOLE, entries[-1])


def _without_suffix(value: Any) -> Any:
    """Names of layers as the model has them: where their units are taken is said once, in the help."""
    if isinstance(value, str):
        return value.removesuffix(ACTIVATED)
    if isinstance(value, Mapping):
        return {key: _without_suffix(item) for key, item in value.items()}
    if isinstance(value, list):
        return value if value and isinstance(value[0], int | float) else [_without_suffix(item) for item in value]
    return value
