"""An outcome in words and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from dash import html

from dashboard.pages.sensitivity.view import View, models_of, named, plain_layer
from dashboard.pages.unit_pages import table
from engine.attacks.catalogue import attacks

# What damping the units is told at, if the study measured it.
BETA = 0.5
NAMED = 3
SIDES = {"clean": "clean", "adversarial": "attacked"}


def summary(report: Mapping[str, Any]) -> list[object]:
    """How many images were misled, which layer reacts most, and whether the change grows through the layers."""
    misled = round(report["misled"] * report["pairs"])
    parts: list[object] = [
        html.Strong(_attack(report)),
        f" misleads {report['label']} on ",
        html.Strong(f"{misled:,} of {report['pairs']:,}"),
        f" images ({percent(report['misled'])}). ",
    ]
    ratios = {plain_layer(one["name"]): one["mean_ratio"] for one in report["layers"] if one["mean_ratio"] is not None}
    if not ratios:
        return [*parts, "No image activates a unit, so that there is no change to compare."]
    most = max(ratios, key=lambda name: ratios[name])
    ratio = f"{percent(ratios[most])} of" if ratios[most] < 1 else f"{short(ratios[most])} times"
    return [
        *parts,
        "Measured by its clean output ",
        html.Strong(most),
        f" reacts most: a unit’s output changes by {ratio} its size, on average. ",
        growth(ratios),
    ]


def growth(ratios: Mapping[str, float]) -> str:
    """Whether the mean ratio grows from layer to layer, as the paper finds."""
    names, values = list(ratios), np.array(list(ratios.values()))
    if len(values) < 2:
        return ""
    ends = f"from {short(values[0])} in {names[0]} to {short(values[-1])} in {names[-1]}"
    falls = [names[place + 1] for place in np.flatnonzero(np.diff(values) <= 0)]
    if not falls:
        return f"This ratio grows from layer to layer, {ends}, as the paper finds."
    if values[-1] > values[0]:
        where = listed(falls) if len(falls) <= NAMED else f"{len(falls)} of the layers"
        return (
            f"This ratio is larger at the end ({ends}) but does not grow steadily as in the paper: it falls in {where}."
        )
    return f"This ratio does not grow through the layers ({ends}), unlike what the paper finds."


def layer_answer(view: View) -> list[object]:
    """The most sensitive units of the layer looked at, and what damping them does."""
    entry = view.entry
    values = np.array(entry["sensitivity"], np.float64)
    top = [unit for unit in view.order[:NAMED] if np.isfinite(values[unit])]
    if not top:
        return ["Nothing was measured of this layer."]
    where = " after the activation" if view.report["settings"]["activated"] else ""
    one = len(top) == 1
    return [
        f"In {plain_layer(view.layer)} ",
        html.Strong(f"{'unit' if one else 'units'} {listed([str(unit) for unit in top])}"),
        f" {'reacts' if one else 'react'} most: {'its output changes' if one else 'their outputs change'}{where} by "
        f"{listed([f'{values[unit]:.3g}' for unit in top])} on average (median of all its units: "
        f"{np.nanmedian(values):.3g}). ",
        *damping(view),
    ]


def damping(view: View) -> list[object]:
    """What damping the sensitive units to half does, beside the control."""
    entry = view.suppression(view.layer)
    if entry is None:
        return ["These units are the model’s answers, so that they are not damped."]
    at = min(range(len(entry["betas"])), key=lambda place: abs(entry["betas"][place] - BETA))
    undamped = int(np.argmax(entry["betas"]))
    which = "the most sensitive unit" if entry["units"] == 1 else f"the {entry['units']:,} most sensitive units"
    others = "another unit" if entry["units"] == 1 else "as many others"
    right, control = entry["sensitive"], entry["control"]
    mean = {side: float(np.mean([draw[at] for draw in control[side]])) for side in SIDES}
    return [
        f"With {which} damped to {percent(entry['betas'][at])} (β = {entry['betas'][at]:g}) ",
        html.Span(f"{percent(right['clean'][at], 1)} of the clean", className="text-clean"),
        f" images are still classified right ({others} damped: {percent(mean['clean'], 1)}; none: "
        f"{percent(right['clean'][undamped], 1)}) and ",
        html.Span(f"{percent(right['adversarial'][at], 1)} of the attacked", className="text-adversarial"),
        f" ones ({others}: {percent(mean['adversarial'], 1)}; none: {percent(right['adversarial'][undamped], 1)}). ",
        _against_control(right, control, mean, at),
    ]


def _against_control(right: Mapping[str, Any], control: Mapping[str, Any], mean: Mapping[str, float], at: int) -> str:
    """Whether the sensitive units do what no draw of the control does."""
    differs = []
    for side, name in SIDES.items():
        draws = [draw[at] for draw in control[side]]
        if not min(draws) <= right[side][at] <= max(draws):
            points = 100 * (right[side][at] - mean[side])
            differs.append(f"{abs(points):.1f} points {'above' if points > 0 else 'below'} their mean on {name} images")
    if not differs:
        return "Units drawn at random do as much: here it makes no difference that the units are sensitive."
    return f"No draw of others does that: it is {listed(differs)}."


def layer_table(report: Mapping[str, Any]) -> html.Table:
    """Each layer: how many units, how they change, which change most, and what was left out."""
    rows = []
    for entry in report["layers"]:
        values = np.array(entry["sensitivity"], np.float64)
        order = [unit for unit in np.argsort(-values, kind="stable").tolist() if np.isfinite(values[unit])]
        count = min(5, len(order))
        left = sum(entry["left_out"])
        dead = sum(one == report["pairs"] for one in entry["left_out"])
        rows.append(
            (
                plain_layer(entry["name"]),
                f"{entry['units']:,}",
                f"{np.mean(values[order]):.3g}" if order else "–",
                "–" if entry["mean_ratio"] is None else f"{entry['mean_ratio']:.3g}",
                ", ".join(map(str, order[:count])),
                f"{left:,}{_always_zero(dead)}",
            )
        )
    heads = (
        "layer", "units", "mean sensitivity", "mean ratio", "most sensitive units", "pairs left out of the ratio",
    )  # fmt: skip
    return table(heads, rows)


def _always_zero(units: int) -> str:
    if not units:
        return ""
    return f" ({units:,} unit{' is' if units == 1 else 's are'} 0 on every clean image)"


def units_note(view: View) -> str:
    """What the figure of the units does not say: the unit that was chosen, models without such a layer."""
    words = []
    if view.chosen is not None and view.chosen < view.entry["units"]:
        value, ratio = view.entry["sensitivity"][view.chosen], view.entry["ratio"][view.chosen]
        part = "–" if ratio is None else f"{ratio:.3g}"
        words.append(f"Unit {view.chosen}: sensitivity {value:.4g}, ratio {part}, place {view.rank(view.chosen):,}.")
    lacking = [one["label"] for one in models_of(view.report) if named(one, view.layer) is None]
    if lacking:
        words.append(f"No layer {plain_layer(view.layer)}: {', '.join(lacking)}.")
    return " ".join(words)


def ratios_note(report: Mapping[str, Any]) -> str:
    """How the other models fared with the same pairs."""
    if not report["models"]:
        return "Tick other models in the form above to see them side by side."
    told = [f"{one['label']} {percent(one['misled'])}" for one in report["models"]]
    return f"Misled by the same copies: {report['label']} {percent(report['misled'])}, {', '.join(told)}."


def _attack(report: Mapping[str, Any]) -> str:
    name = report["attack"]
    label = attacks[name].label if name in attacks else name
    strength = report["attack_settings"].get("epsilon")
    return label if strength is None or report["attack_settings"].get("search") else f"{label} at ε = {strength:g}"


def percent(share: float, digits: int = 0) -> str:
    """A share as a person reads it."""
    return f"{100 * share:.{digits}f} %"


def short(ratio: float) -> str:
    """A ratio in two digits; large ones in full."""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.2g}"


def listed(parts: Sequence[str]) -> str:
    """Words after each other: a, b and c."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
