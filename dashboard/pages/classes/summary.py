"""What the similarity of all classes comes to, in one paragraph."""

from __future__ import annotations

import numpy as np
from dash import html

from dashboard.pages.classes.pair import closest_pair
from dashboard.pages.normal import missing_note
from dashboard.services.class_paths import Normal
from engine.paths.survey import ClassSurvey


def summary(normal: Normal) -> list[object]:
    """How much classes share, which are closest and which is most on its own; classes without a path are named."""
    missing = missing_note(normal.class_paths)
    extent = [
        f"All classes together use {_percent(normal.survey.density())} of the network, ",
        f"from {int(normal.survey.counts.sum()):,} training images.",
    ]
    if normal.survey.drawn is not None:
        extent.append(" Similarities are estimates; below the matrix it says how exact they are.")
    return [*_comparison(normal.survey), *extent, *([f" {missing}"] if missing else [])]


def matrix_note(normal: Normal) -> str | None:
    """What to know of the matrix: which cells are empty and why, and how exact the others are; None for nothing."""
    missing, drawn = missing_note(normal.class_paths), normal.survey.drawn
    notes = [f"Empty cells: {missing}"] if missing else []
    if drawn is not None:
        notes.append(
            f"Estimated from {drawn:,} synapses drawn at random, with a standard error of at most "
            f"{_at_most(normal.survey.standard_error)}; what is said of the pair that is compared is exact."
        )
    return " ".join(notes) or None


def _comparison(survey: ClassSurvey) -> list[object]:
    known, matrix, names = survey.known(), survey.similarity, survey.class_names
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


def _at_most(error: float) -> str:
    """A standard error with one digit, rounded up."""
    digits = 1 - int(np.ceil(np.log10(error))) if error else 1
    return f"{np.ceil(error * 10**digits) / 10**digits:.{max(digits, 0)}f}"


def _percent(share: float) -> str:
    return f"{100 * float(share):.1f}\u00a0%"
