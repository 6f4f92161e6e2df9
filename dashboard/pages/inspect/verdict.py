"""What happened to the image, in words and a few numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dash import html

from dashboard.services.class_paths import Normal
from dashboard.services.inspection import Inspection, Similarities
from engine.paths.path import Path


def verdict(view: Inspection, norm: str, similar: Similarities | None, normal: Normal | None) -> list[object]:
    """One sentence about the attack, and one about the layer where the attacked image's path fits worst."""
    return [*_outcome(view, norm), *(_departure(view, similar, normal) if similar and normal else [])]


def _outcome(view: Inspection, norm: str) -> list[object]:
    names, result = view.class_names, view.result
    before, after = int(result.predictions_before[0]), int(result.predictions_after[0])
    size = f"{result.l2[0]:.3g} L2" if norm == "l2" else f"{result.linf[0]:.3g} L∞"
    if not result.scored[0] and before != view.true_class:
        return [
            "The model calls this ",
            html.Strong(names[view.true_class]),
            " a ",
            html.Strong(names[before]),
            " without any attack; attacks are scored only on images it gets right.",
        ]
    arrow = [
        html.Strong(names[before], className="text-clean"),
        " → ",
        html.Strong(names[after], className="text-adversarial"),
    ]
    if before == after:
        return [
            "The attack fails: still ",
            html.Strong(names[after], className="text-clean"),
            f" after a change of {size}.",
        ]
    reached = "" if result.success[0] else ", but not to the target"
    return [*arrow, f" in {size}{reached}."]


def _departure(view: Inspection, similar: Similarities, normal: Normal) -> list[object]:
    """The layer where the attacked image's rank-1 similarity falls most below the original's."""
    falls = {
        layer: similar.clean[layer] - value for layer, value in similar.adversarial.items() if math.isfinite(value)
    }
    falls = {layer: fall for layer, fall in falls.items() if math.isfinite(fall)}
    predicted = view.class_names[int(view.adversarial.ranking[0])]
    if not falls or max(falls.values()) <= 0:
        return [f" Its path lies on the class path of {predicted} as much as the original's does on its own."]
    layer = max(falls, key=lambda name: falls[name])
    low, high = (edge.get(layer, math.nan) for edge in normal.bands[1])
    value = similar.adversarial[layer]
    change = f"similarity {similar.clean[layer]:.3f} → {value:.3f}"
    band = f"the band of normal images ({low:.3f} to {high:.3f})."
    if value < low:
        start, end = " It leaves the class path of ", f": {change}, below {band}"
        return [start, html.Strong(predicted), " most in layer ", html.Strong(layer), end]
    start, end = " Its path stays with the class path of ", f": {change}, not below {band}"
    return [start, html.Strong(predicted), ", least in layer ", html.Strong(layer), end]


def numbers(view: Inspection, paths: tuple[Path, Path]) -> list[html.Div]:
    """The size of the change, and how much of the network the two paths use and share."""
    result = view.result
    clean, adversarial = paths
    shared = clean.overlap(adversarial)
    rows: Sequence[tuple[str, str]] = (
        ("L∞", f"{result.linf[0]:.4g}"),
        ("L2", f"{result.l2[0]:.4g}"),
        ("L0", f"{int(result.l0[0]):,} of {view.clean.pixels.size:,}"),
        ("density, original", _percent(clean.density())),
        ("density, adversarial", _percent(adversarial.density())),
        ("original's synapses shared", "none" if math.isnan(shared) else f"{100 * shared:.1f} %"),
        ("Jaccard of the two paths", f"{clean.jaccard(adversarial):.3f}"),
    )
    return [html.Div([html.Dt(name), html.Dd(value)]) for name, value in rows]


def survival(view: Inspection) -> list[object]:
    """Whether a saved PNG still fools the model."""
    result = view.result
    if not result.success[0]:
        return ["survives 8-bit rounding: ", html.Strong("no attack to keep")]
    return ["survives 8-bit rounding: ", html.Strong("yes" if result.survives_rounding[0] else "no")]


def densities(paths: Mapping[str, Path]) -> dict[str, dict[str, float]]:
    """Density per layer of each path, by its label."""
    return {label: path.density_per_layer() for label, path in paths.items()}


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
