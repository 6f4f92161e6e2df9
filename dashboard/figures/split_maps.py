"""Grad-CAM of an image and of its attacked copy, split into the units of a route and the others."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.figures.labels import plain
from dashboard.figures.regions import heat_over
from dashboard.figures.theme import Theme, template

_COLUMNS = ("units of the route", "all other units")


def split_maps(
    images: npt.NDArray[np.floating],
    chosen: npt.NDArray[np.floating],
    others: npt.NDArray[np.floating],
    rows: Sequence[str],
    scale: float,
    theme: Theme = "light",
) -> go.Figure:
    """A row an image: its heat over the units of the route, and over all others, on one scale.

    Args:
        images: (N, C, H, W) in [0, 1]; C is 1 or 3.
        chosen, others: (N, H, W) heat, 0 or more.
        rows: N names.
        scale: the heat that is drawn strongest in all of them.
        theme: `"light"` or `"dark"`.

    Raises:
        ValueError: as :func:`dashboard.figures.regions.heat_over`.
    """
    figure = make_subplots(
        len(images), 2, column_titles=list(_COLUMNS), row_titles=[plain(row) for row in rows], horizontal_spacing=0.02,
        vertical_spacing=0.04,
    )  # fmt: skip
    for row, name in enumerate(rows):
        for column, heat in enumerate((chosen[row], others[row])):
            is_last = row == len(images) - 1 and column == 1
            for trace in heat_over(images[row], heat, scale, theme, has_bar=is_last).data:
                trace.update(name=f"{name}, {_COLUMNS[column]}, {trace.name}")
                figure.add_trace(trace, row=row + 1, col=column + 1)
    figure.update_layout(template=template(theme), margin={"l": 26, "r": 8, "t": 26, "b": 8})
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, constrain="domain", autorange="reversed", scaleratio=1)
    for place, axis in enumerate(figure.select_yaxes(), 1):
        axis.update(scaleanchor="x" if place == 1 else f"x{place}")
    for note in figure.layout.annotations:
        is_row = note.textangle == 90
        note.update(font={"size": 12.5}, **({"x": 0, "xanchor": "right", "textangle": -90} if is_row else {}))
    figure.update_traces(colorbar={"len": 0.9, "x": 1.0}, selector={"showscale": True})
    return figure
