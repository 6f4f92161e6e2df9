"""Do the units that react most also decide most? Sensitivity against importance."""

from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from dashboard.figures.axes import WIDE_KEY, Numbers, numbers
from dashboard.figures.labels import plain, shorten
from dashboard.figures.theme import CUES, Theme, new_figure, palette

_COLUMNS = ["layer", "unit", "sensitivity", "importance", "votes", "most sensitive", "most important"]
# Which lists a unit is in, its colour's meaning and the size of its mark; in drawing order.
_GROUPS: Final = (
    ((False, False), "muted", "other", 6),
    ((True, False), "adversarial", "sensitive", 9),
    ((False, True), "accent", "important", 9),
    ((True, True), "shared", "both", 10),
)
_LEGEND_RANKS: Final = (4, 2, 3, 1)


def importance_scatter(
    layer: str,
    sensitivity: Numbers,
    importance: Numbers,
    votes: Numbers,
    theme: Theme = "light",
    *,
    class_name: str = "",
    spearman: float | None = None,
    k: int = 20,
) -> go.Figure:
    """Sensitivity against mean importance of the penultimate units for one target class, the k first of each marked.

    The most important units are those with most votes, as in the study's lists; of equals the lower id comes first. A
    unit without votes is not among them, one without sensitivity or importance is not drawn.

    Args:
        layer: its name.
        sensitivity: (U,) of each unit.
        importance: (U,) mean importance of each unit, in units of the logit.
        votes: (U,) of each unit.
        theme: `"light"` or `"dark"`.
        class_name: the class that the copies were misled to.
        spearman: rank correlation, −1 to 1; None or NaN is left out.
        k: how many units of each list are marked.

    Returns:
        A figure whose marks carry `customdata` that begins with [layer, unit] for clicks.

    Raises:
        ValueError: when the three do not have one length.
    """
    x, y, weights = numbers(sensitivity), numbers(importance), np.nan_to_num(numbers(votes))
    if not x.shape == y.shape == weights.shape:
        raise ValueError(
            f"Expected sensitivity, importance and votes of one length, got {x.size}, {y.size}, {weights.size}."
        )
    sensitive = np.isin(np.arange(len(x)), _first(x, k))
    important = np.isin(np.arange(len(x)), _first(weights, k)) & (weights > 0)
    figure = new_figure(theme, hovermode="closest", legend=WIDE_KEY)
    for (kind, meaning, name, size), rank in zip(_GROUPS, _LEGEND_RANKS, strict=True):
        known = np.isfinite(x) & np.isfinite(y)
        units = np.flatnonzero(known & (sensitive == kind[0]) & (important == kind[1]))
        if len(units):
            rows = [[layer, unit, x[unit], y[unit], weights[unit], *map(_word, kind)] for unit in units.tolist()]
            marks = _marks(rows, meaning, size, theme)
            figure.add_trace(marks.update(name=f"{name} ({len(units):,})", legendrank=rank))
    note = _note(class_name, spearman)
    figure.update_xaxes(title_text="sensitivity (mean change of the output)" + (f"<br>{note}" if note else ""))
    figure.update_xaxes(rangemode="tozero", zeroline=False)
    figure.update_yaxes(title_text="mean importance<br>(part of the logit)", zeroline=True)
    return figure


def _first(values: np.ndarray, k: int) -> np.ndarray:
    """Ids of the k largest values; NaN is never among them."""
    order = np.argsort(-values, kind="stable")
    known: np.ndarray = order[np.isfinite(values[order])]
    return known[:k]


def _word(is_in: bool) -> str:
    return "yes" if is_in else "no"


def _marks(rows: list[list[Any]], meaning: str, size: int, theme: Theme) -> go.Scatter:
    colors = palette(theme)
    return go.Scatter(
        x=[row[2] for row in rows],
        y=[row[3] for row in rows],
        mode="markers",
        marker={"color": colors[meaning], "symbol": CUES[meaning][0], "size": size}
        | {"line": {"color": colors["paper"], "width": 1}},
        customdata=rows,
        meta={"columns": _COLUMNS},
        hovertemplate=f"{plain(rows[0][0])} unit %{{customdata[1]}}<br>sensitivity %{{x:.4g}}<br>importance %{{y:.4g}}"
        ", %{customdata[4]:,} votes<extra>%{fullData.name}</extra>",
    )


def _note(class_name: str, spearman: float | None) -> str:
    parts = [f"target class {shorten(class_name, 24)}"] if class_name else []
    if spearman is not None and np.isfinite(spearman):
        parts.append(f"Spearman’s rank correlation {spearman:.2f}")
    return ", ".join(parts)
