"""Similarity of every pair of class paths, as a matrix to click in."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.colors import sample_colorscale, unlabel_rgb

from dashboard.figures.labels import shorten, unique_labels
from dashboard.figures.theme import Theme, new_figure, palette

_SCALE = "Viridis"
_ANNOTATED = 20  # with more classes the numbers would not fit their cells
_ALL_TICKS = 40  # with more classes plotly leaves labels out as space demands
_NO_TICKS = 60  # with more there are none, and no lines between the cells: names are in the hover


def class_similarity(matrix: npt.NDArray[np.floating], names: Sequence[str], theme: Theme = "light") -> go.Figure:
    """A square heatmap of Jaccard similarities; its colours span the values off the diagonal, which alone says nothing.

    Args:
        matrix: (K, K), values in [0, 1], ones on the diagonal. NaN leaves a cell empty, without hover and click.
        names: K class names.
        theme: `"light"` or `"dark"`.

    Returns:
        A figure whose axes have one label per class, in order: the place of a clicked cell's labels tells its classes.
        With many classes the cells of the diagonal are left empty.

    Raises:
        ValueError: when the matrix is not (K, K).
    """
    classes = len(names)
    if np.shape(matrix) != (classes, classes):
        raise ValueError(f"Expected a matrix of shape ({classes}, {classes}), got {np.shape(matrix)}.")
    values = np.array(matrix, dtype=np.float32)
    labels = unique_labels(names)
    off_diagonal = values[~np.eye(classes, dtype=bool)]
    finite = off_diagonal[np.isfinite(off_diagonal)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    figure = new_figure(theme)
    if classes > _NO_TICKS:  # a second matrix as a cover would double what is sent
        np.fill_diagonal(values, np.nan)
    figure.add_trace(_cells(values, labels, (low, high), theme))
    if classes <= _NO_TICKS:
        figure.add_trace(_diagonal(values, labels, theme))
    if classes <= _ANNOTATED:
        for trace in _numbers(values, labels, (low, high)):
            figure.add_trace(trace)
    ticks = _ticks(names, labels)
    figure.update_xaxes(**ticks)
    figure.update_yaxes(autorange="reversed", scaleanchor="x", scaleratio=1, **ticks)
    return figure


def _ticks(names: Sequence[str], labels: list[str]) -> dict[str, Any]:
    ticks = {"type": "category", "constrain": "domain", "showgrid": False, "ticks": ""}
    if len(names) > _NO_TICKS:
        return ticks | {"showticklabels": False}
    if len(names) > _ALL_TICKS:
        return ticks
    return ticks | {"tickvals": labels, "ticktext": [shorten(name, 16) for name in names]}


def _cells(values: npt.NDArray[np.float32], labels: list[str], limits: tuple[float, float], theme: Theme) -> go.Heatmap:
    gap = int(len(labels) <= _NO_TICKS)
    return go.Heatmap(
        name="similarity",
        z=values,
        x=labels,
        y=labels,
        zmin=limits[0],
        zmax=limits[1],
        colorscale=_SCALE,
        xgap=gap,
        ygap=gap,
        hoverongaps=False,
        colorbar={
            "title": {"text": "Jaccard", "font": {"color": palette(theme)["muted"], "size": 12}},
            "thickness": 12,
            "outlinewidth": 0,
        },
        hovertemplate="%{y} and %{x}: %{z:.3f}<extra></extra>",
    )


def _diagonal(values: npt.NDArray[np.float32], labels: list[str], theme: Theme) -> go.Heatmap:
    """Muted cells over the diagonal. It takes no hover: the cells below answer clicks there too."""
    cover = np.where(np.eye(len(labels), dtype=bool), values, np.float32(np.nan))
    color = palette(theme)["grid"]
    return go.Heatmap(
        name="diagonal",
        z=cover,
        x=labels,
        y=labels,
        colorscale=[[0, color], [1, color]],
        showscale=False,
        hoverinfo="skip",
        xgap=1,
        ygap=1,
    )


def _numbers(values: npt.NDArray[np.float32], labels: list[str], limits: tuple[float, float]) -> list[go.Scatter]:
    """The values as text off the diagonal, black or white, whichever has more contrast with the cell.

    Plotly's own text in heatmap cells falls to a contrast of 2.5:1 on the middle of the scale.
    """
    rows, columns = np.nonzero(~np.eye(len(labels), dtype=bool) & np.isfinite(values))
    shown = values[rows, columns]
    span = max(limits[1] - limits[0], 1e-9)
    cells = sample_colorscale(_SCALE, np.clip((shown - limits[0]) / span, 0, 1))
    # Where the relative luminance of a cell is above 0.179, black has the larger contrast ratio (WCAG 2).
    bright = np.array([_luminance(cell) > 0.179 for cell in cells], dtype=bool)
    size = float(np.clip(140 / len(labels), 8, 13))
    return [
        go.Scatter(
            x=[labels[column] for column in columns[chosen]],
            y=[labels[row] for row in rows[chosen]],
            text=[f"{value:.2f}" for value in shown[chosen]],
            mode="text",
            textfont={"color": color, "size": size},
            hoverinfo="skip",
            showlegend=False,
        )
        for chosen, color in ((bright, "#000000"), (~bright, "#FFFFFF"))
    ]


def _luminance(color: str) -> float:
    """Relative luminance (WCAG 2) of a color `rgb(r, g, b)`."""
    channels = np.array(unlabel_rgb(color)) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
