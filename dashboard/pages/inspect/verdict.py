"""What happened to the image, in words."""

from __future__ import annotations

import math

from dash import html

from dashboard.pages.normal import WITHOUT_PATH
from dashboard.pages.wording import with_article
from dashboard.services.class_paths import Normal
from dashboard.services.inspection import Inspection, Similarities
from engine.attacks.base import AttackResult


def verdict(view: Inspection, norm: str, similar: Similarities | None, normal: Normal | None) -> list[object]:
    """One sentence about the attack, and one about the layer where the attacked image's path fits worst."""
    return [*_outcome(view, norm), *(_departure(view, similar, normal) if similar and normal else [])]


def called(view: Inspection) -> list[object]:
    """What the model calls the attacked image, with its article."""
    article, _, name = with_article(view.class_names[int(view.result.predictions_after[0])]).partition(" ")
    return [f" {article} ", html.Strong(name)]


def _outcome(view: Inspection, norm: str) -> list[object]:
    names, result = view.class_names, view.result
    before, after = int(result.predictions_before[0]), int(result.predictions_after[0])
    if not result.scored[0] and before != view.true_class:
        return [
            "The model calls this ",
            html.Strong(names[view.true_class]),
            f" {with_article(names[before])} without any attack; attacks are scored only on images it gets right.",
        ]
    size = _size(result, norm)
    if before == after:
        return ["The attack fails: still ", html.Strong(names[after], className="text-clean"), f" with {size}."]
    reached = "" if result.success[0] else ", but not to the target"
    return [
        html.Strong(names[before], className="text-clean"),
        " → ",
        html.Strong(names[after], className="text-adversarial"),
        f" with {size}{reached}.",
    ]


def _size(result: AttackResult, norm: str) -> str:
    """How large the change is, in the norm that the attack keeps small."""
    if norm == "l2":
        return f"a change of {result.l2[0]:.3g} (L2)"
    if norm == "linf":
        return f"a change of at most {result.linf[0]:.3g} (L∞)"
    count = int(result.l0[0])
    return f"{count:,} {'value' if count == 1 else 'values'} changed (L0)"


def _departure(view: Inspection, similar: Similarities, normal: Normal) -> list[object]:
    """The layer where the attacked image's rank-1 similarity lies farthest below the band of normal images."""
    predicted = int(view.adversarial.ranking[0])
    name = view.class_names[predicted]
    if not normal.class_paths.counts[predicted]:
        return [" The class path of ", html.Strong(name), f" is empty: {WITHOUT_PATH}."]
    changed = view.result.linf[0] > 0
    whose = "the attacked image" if changed else "the image"
    low, high = normal.bands[1]
    known = {layer: value for layer, value in similar.adversarial.items() if layer in low and math.isfinite(value)}
    below = {layer: low[layer] - value for layer, value in known.items() if value < low[layer]}
    if not below:
        return [
            f" The path of {whose} stays with the class path of ",
            html.Strong(name),
            ": in no layer is its similarity below the band of normal images." if known else ".",
        ]
    layer = max(below, key=lambda one: below[one])
    origin = f" ({_original(view, similar, normal, layer)})" if changed else ""
    return [
        f" The path of {whose} leaves the class path of ",
        html.Strong(name),
        " most in layer ",
        html.Strong(layer),
        f": similarity {known[layer]:.3f}{origin}, below the band of normal images "
        f"({low[layer]:.3f} to {high[layer]:.3f}).",
    ]


def _original(view: Inspection, similar: Similarities, normal: Normal, layer: str) -> str:
    """The original's similarity there, with the class it is measured against where that is another."""
    started, predicted = int(view.clean.ranking[0]), int(view.adversarial.ranking[0])
    if not normal.class_paths.counts[started]:
        return f"{view.class_names[started]}, the original's class, has no path"
    against = "" if started == predicted else f" on that of {view.class_names[started]}"
    return f"the original{against}: {similar.clean[layer]:.3f}"
