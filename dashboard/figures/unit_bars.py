"""Sensitivity of each unit of a layer, the most sensitive first."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboard.figures.axes import numbers
from dashboard.figures.labels import plain, shorten
from dashboard.figures.theme import Theme, bar_marker, new_figure, palette, sequence_style

_MOST_BARS = 1024  # more bars than pixels would flicker; they become one filled line
_PATTERNED = 48  # on more, and so narrower, bars a pattern is only noise
_FEW_POINTS = 40
_NAME_LENGTH = 28
_COLUMNS = ["layer", "unit", "rank", "sensitivity", "sensitive"]
_GROUPS = (("sensitive", "adversarial", "yes"), ("other units", "muted", "no"))


def sensitivity_curves(
    layer: str, models: Sequence[Mapping[str, Any]], chosen: Collection[int] = (), theme: Theme = "light"
) -> go.Figure:
    """Sensitivity of a layer's units in falling order: bars for one model, a line each for several.

    The lines run over the share of the units, since models differ in how many they have. Units without a value are left
    out; equal ones are in the order of their ids.

    Args:
        layer: its name.
        models: `label` and `sensitivity` (a value a unit) of each; the first one's units are told apart.
        chosen: ids of the sensitive units of the first model.
        theme: `"light"` or `"dark"`.

    Returns:
        A figure whose bars and points carry `customdata` that begins with [layer, unit] for clicks.
    """
    figure = new_figure(theme, bargap=0.15, barmode="overlay", hovermode="closest")
    if len(models) == 1:
        rows, heights = _sorted(layer, models[0], chosen)
        draw = _add_bars if len(rows) <= _MOST_BARS else _add_area
        draw(figure, rows, heights, theme)
        figure.update_layout(bargap=0.15 if len(rows) <= _PATTERNED else 0)
        figure.update_xaxes(title_text=f"units of {shorten(layer, _NAME_LENGTH)}, most sensitive first")
        figure.update_xaxes(range=[0.5 - 0.01 * len(rows), len(rows) + 0.5 + 0.01 * len(rows)], nticks=8)
    else:
        for place, model in enumerate(models):
            figure.add_trace(_line(layer, model, chosen if place == 0 else (), place, theme))
        title = f"share of the units of {shorten(layer, _NAME_LENGTH)}, most sensitive first"
        figure.update_xaxes(title_text=title, range=[-0.01, 1.02], tickformat=".0%")
    figure.update_xaxes(showgrid=False, zeroline=False)
    figure.update_yaxes(title_text="sensitivity<br>(mean change of the output)", rangemode="tozero")
    return figure


def _sorted(
    layer: str, model: Mapping[str, Any], chosen: Collection[int]
) -> tuple[list[list[Any]], npt.NDArray[np.float64]]:
    """The rows of `_COLUMNS` and the sensitivities, in falling order."""
    values = numbers(model["sensitivity"])
    order = [unit for unit in np.argsort(-values, kind="stable").tolist() if np.isfinite(values[unit])]
    chosen = set(chosen)
    rows = [
        [layer, unit, rank, float(values[unit]), "yes" if unit in chosen else "no"]
        for rank, unit in enumerate(order, start=1)
    ]
    return rows, values[order]


def _hover(layer: str, place: str) -> str:
    return f"{plain(layer)} unit %{{customdata[1]}}: %{{y:.4g}}<br>{place}<extra>%{{fullData.name}}</extra>"


def _add_bars(figure: go.Figure, rows: list[list[Any]], heights: npt.NDArray[np.float64], theme: Theme) -> None:
    """The sensitive units' bars and the others', in their common order."""
    for name, meaning, mark in _GROUPS:
        places = [place for place, row in enumerate(rows) if row[4] == mark]
        if not places:
            continue
        patterned = len(rows) <= _PATTERNED and mark == "yes"
        marker = bar_marker(meaning, theme) if patterned else {"color": palette(theme)[meaning]}
        bars = go.Bar(
            name=f"{name} ({len(places):,})",
            x=[place + 1 for place in places],
            y=heights[places],
            marker=marker | {"line": {"width": 0}},
            customdata=[rows[place] for place in places],
            meta={"columns": _COLUMNS},
            hovertemplate=_hover(rows[0][0], f"place %{{x}} of {len(rows):,}"),
        )
        figure.add_trace(bars)


def _add_area(figure: go.Figure, rows: list[list[Any]], heights: npt.NDArray[np.float64], theme: Theme) -> None:
    """One filled profile of all units, which answers hover and clicks, and below its surface the sensitive ones'."""
    is_chosen = np.array([row[4] == "yes" for row in rows])
    colors = palette(theme)
    ranks = np.arange(1, len(rows) + 1)
    shape = {"mode": "lines", "line_shape": "hvh", "line_width": 0, "fill": "tozeroy"}
    other = go.Scatter(
        name=f"units ({len(rows):,})",
        x=ranks,
        y=heights,
        fillcolor=colors["muted"],
        customdata=rows,
        meta={"columns": _COLUMNS},
        hoveron="points",
        hovertemplate=_hover(rows[0][0], f"place %{{x}} of {len(rows):,}, sensitive: %{{customdata[4]}}"),
        **shape,
    )
    figure.add_trace(other)
    figure.update_layout(hovermode="x")
    if is_chosen.any():
        drawn = {"x": ranks, "y": np.where(is_chosen, heights, 0.0), "fillcolor": colors["adversarial"]}
        figure.add_trace(go.Scatter(name=f"sensitive ({is_chosen.sum():,})", hoverinfo="skip", **drawn, **shape))


def _line(layer: str, model: Mapping[str, Any], chosen: Collection[int], place: int, theme: Theme) -> go.Scatter:
    rows, heights = _sorted(layer, model, chosen)
    color, symbol, dash = sequence_style(place, theme)
    return go.Scatter(
        name=shorten(model["label"], _NAME_LENGTH),
        x=np.arange(1, len(rows) + 1) / max(len(rows), 1),
        y=heights,
        mode="lines+markers" if len(rows) <= _FEW_POINTS else "lines",
        line={"color": color, "dash": dash, "width": 2},
        marker={"color": color, "symbol": symbol, "size": 7},
        customdata=rows,
        meta={"columns": _COLUMNS},
        hovertemplate=_hover(layer, f"among the first %{{x:.1%}} of {len(rows):,} units"),
    )
