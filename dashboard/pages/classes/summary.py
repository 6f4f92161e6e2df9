"""What the similarity of all classes comes to, in one paragraph."""

from __future__ import annotations

import numpy as np
from dash import html

from dashboard.pages.classes.comparison import overall, similarity
from dashboard.pages.classes.pair import closest_pair
from dashboard.pages.normal import known_classes, missing_note
from engine.paths.class_paths import ClassPaths


def summary(class_paths: ClassPaths) -> list[object]:
    """How much classes share, which are closest and which is most on its own; classes without a path are named."""
    missing = missing_note(class_paths)
    extent = [
        f"All classes together use {_percent(overall(class_paths).density())} of the network, ",
        f"from {int(class_paths.counts.sum()):,} training images.",
    ]
    return [*_comparison(class_paths), *extent, *([f" {missing}"] if missing else [])]


def _comparison(class_paths: ClassPaths) -> list[object]:
    known = known_classes(class_paths)
    matrix, names = similarity(class_paths), class_paths.class_names
    pair = closest_pair(matrix)
    if pair is None:
        return ["Fewer than two classes have a class path, so there is nothing to compare. "]
    among = np.where(np.eye(len(known), dtype=bool), np.nan, matrix[np.ix_(known, known)])
    parts: list[object] = [
        f"Two classes share {_percent(np.nanmean(among))} of their synapses on average. Closest: ",
        html.Strong(f"{names[pair[0]]} and {names[pair[1]]}"),
        f" ({_percent(matrix[pair])}). ",
    ]
    if len(known) > 2:  # of two, neither is more on its own
        means = np.nanmean(among, axis=1)
        loner = int(np.argmin(means))
        parts += ["Most on its own: ", html.Strong(names[known[loner]]), f" ({_percent(means[loner])}). "]
    return parts


def _percent(share: float) -> str:
    return f"{100 * float(share):.1f}\u00a0%"
