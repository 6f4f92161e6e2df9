"""What happened to the image, in a few numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dash import html

from dashboard.services.inspection import Inspection
from engine.paths.path import Path


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
