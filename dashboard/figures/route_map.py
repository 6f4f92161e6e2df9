"""The route of an attack over the layers: which units it takes, and on how many images."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from dashboard.figures.axes import numbers
from dashboard.figures.labels import layer_ticks, plain
from dashboard.figures.theme import CUES, Theme, new_figure, palette, translucent

_COLUMNS = ["layer", "unit", "occurrence", "on the route", "on this image’s route"]
_GROUPS: Final = ((False, "muted", "other units"), (True, "adversarial", "on the model’s route"))
_FAINTEST: Final = 0.1  # opacity of a unit that is on no image's route
_WIDTH: Final = 480  # pixels for the marks in the smallest card
_HEIGHTS: Final = (210, 290)  # pixels for the marks, least and most
_PITCH: Final = 9  # pixels from a mark to the one below at which it is still easy to hit
_ABREAST: Final = 8  # pixels from a mark to the one beside
_REST, _UPRIGHT = 125, 70  # pixels for key and captions, and for names that stand upright
_MOST_ABREAST: Final = 8
_FILLED: Final = 0.8  # of a layer's column, the rest parts it from the next
_ROOMY: Final = (9, 14)  # columns and characters of a name that leave room for a second line

Instance = Mapping[str, Collection[int]]


@dataclass(frozen=True, slots=True)
class _Grid:
    """How the marks are arranged.

    Attributes:
        abreast: marks of a layer beside one another.
        rows: marks below one another in the layer with most.
        size: of a mark, pixels.
        is_roomy: whether names stand level, with the number of units below.
        height: of the figure, pixels.
    """

    abreast: int
    rows: int
    size: float
    is_roomy: bool
    height: float


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """One layer's marks, the unit that is most often on a route first.

    Attributes:
        layer: its name.
        units: how many it has.
        left_out: units of this image's route that are not drawn.
        x, y: (n,) of the marks.
        on_route: (n,) whether the unit is on the model's route.
        rows: n rows of `_COLUMNS`.
    """

    layer: str
    units: int
    left_out: int
    x: np.ndarray
    y: np.ndarray
    on_route: np.ndarray
    rows: list[list[Any]]


def route_map(
    layers: Sequence[Mapping[str, Any]], theme: Theme = "light", instance: Instance | None = None, most: int = 64
) -> go.Figure:
    """Layers as columns of units, those most often on an image's route on top; the stronger a mark, the more often.

    Where a layer has more units than fit below one another, its marks stand several abreast, in the order of reading.

    Args:
        layers: of each in execution order `name`, `occurrence` (of each unit, a share of images in [0, 1]; None counts
            as 0) and `chosen` (ids of the units on the model's route).
        theme: `"light"` or `"dark"`.
        instance: by layer name, ids of the units on the route of the image that is looked at; they get a ring.
        most: units of a layer that are drawn at most, at least 1.

    Returns:
        A figure whose marks carry `customdata` that begins with [layer, unit] for clicks. Its height, in the layout, is
        what its marks need.
    """
    grid = _grid(layers, most)
    columns = [_column(layer, place, grid, instance, most) for place, layer in enumerate(layers)]
    legend = {"itemsizing": "constant", "traceorder": "reversed"}
    figure = new_figure(theme, hovermode="closest", legend=legend, height=grid.height)
    if instance is not None:
        figure.add_trace(_rings(columns, grid, theme))
    for is_chosen, meaning, name in _GROUPS:
        figure.add_trace(_marks(columns, is_chosen, meaning, name, grid.size, theme))
    _label(figure, columns, grid, instance is not None)
    return figure


def _grid(layers: Sequence[Mapping[str, Any]], most: int) -> _Grid:
    """As many marks beside one another as it takes to hit those below one another, if the width allows."""
    densest = max((min(len(layer["occurrence"]), most) for layer in layers), default=1)
    width = _WIDTH * _FILLED / max(len(layers), 1)
    wanted = -(-densest * _PITCH // _HEIGHTS[0])
    abreast = max(1, min(wanted, int(width // _ABREAST), _MOST_ABREAST))
    rows = max(1, -(-densest // abreast))
    marks = float(np.clip(rows * _PITCH, *_HEIGHTS))
    is_roomy = len(layers) <= _ROOMY[0] and all(len(layer["name"]) <= _ROOMY[1] for layer in layers)
    size = float(np.clip(min(marks / rows, width / abreast) - 3, 3, 12))
    return _Grid(abreast, rows, size, is_roomy, marks + _REST + (0 if is_roomy else _UPRIGHT))


def _column(layer: Mapping[str, Any], place: int, grid: _Grid, instance: Instance | None, most: int) -> _Column:
    occurrence = np.nan_to_num(numbers(layer["occurrence"]))
    order = np.argsort(-occurrence, kind="stable")[: max(most, 1)]
    across, down = np.arange(len(order)) % grid.abreast, np.arange(len(order)) // grid.abreast
    taken = None if instance is None else {int(unit) for unit in instance.get(layer["name"], ())}
    on_route = np.isin(order, list(layer["chosen"]))
    rows = [
        [layer["name"], unit, float(occurrence[unit]), _word(chosen), "" if taken is None else _word(unit in taken)]
        for unit, chosen in zip(order.tolist(), on_route.tolist(), strict=True)
    ]
    return _Column(
        layer=layer["name"],
        units=len(occurrence),
        left_out=len((taken or set()) - set(order.tolist())),
        x=place + ((across + 0.5) / grid.abreast - 0.5) * _FILLED,
        y=1 - (down + 0.5) / grid.rows,
        on_route=on_route,
        rows=rows,
    )


def _word(holds: bool) -> str:
    return "yes" if holds else "no"


def _marks(columns: list[_Column], is_chosen: bool, meaning: str, name: str, size: float, theme: Theme) -> go.Scatter:
    """The units on the route, or the others, in a colour as strong as they are frequent."""
    color = palette(theme)[meaning]
    rows = [
        row
        for column in columns
        for row, chosen in zip(column.rows, column.on_route, strict=True)
        if chosen == is_chosen
    ]
    fills = [translucent(color, round(_FAINTEST + (1 - _FAINTEST) * min(row[2], 1.0), 3)) for row in rows]
    return go.Scatter(
        name=name,
        x=_joined([column.x[column.on_route == is_chosen] for column in columns]),
        y=_joined([column.y[column.on_route == is_chosen] for column in columns]),
        mode="markers",
        marker={
            "color": fills or color,
            "size": size,
            "symbol": CUES[meaning][0],
            "line": {"color": color, "width": 1},
        },
        customdata=rows,
        text=[plain(row[0]) for row in rows],
        meta={"columns": _COLUMNS},
        cliponaxis=False,
        hovertemplate="%{text} unit %{customdata[1]}<br>on the route of %{customdata[2]:.1%} of the images"
        "<extra>%{fullData.name}</extra>",
    )


def _rings(columns: list[_Column], grid: _Grid, theme: Theme) -> go.Scatter:
    """Around the units of this image's route. They take no hover: the marks below answer clicks."""
    ringed = [np.array([row[4] == "yes" for row in column.rows], dtype=bool) for column in columns]
    return go.Scatter(
        name="on this image’s route",
        x=_joined([column.x[ring] for column, ring in zip(columns, ringed, strict=True)]),
        y=_joined([column.y[ring] for column, ring in zip(columns, ringed, strict=True)]),
        mode="markers",
        marker={"symbol": "circle-open", "size": grid.size + 4, "color": palette(theme)["ink"], "line": {"width": 1.5}},
        cliponaxis=False,
        hoverinfo="skip",
        zorder=1,
    )


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0)


def _label(figure: go.Figure, columns: list[_Column], grid: _Grid, has_instance: bool) -> None:
    labels = []
    for name, column in zip(layer_ticks([column.layer for column in columns])["ticktext"], columns, strict=True):
        extent = f"{len(column.rows)} of {column.units:,}" if len(column.rows) < column.units else f"{column.units}"
        labels.append(f"{name}<br>{extent} units" if grid.is_roomy else name)
    figure.update_xaxes(
        tickvals=list(range(len(columns))),
        ticktext=labels,
        autotickangles=[0, -90] if grid.is_roomy else [-90],  # upright where a narrow page leaves them no room
        tickfont={"size": 13 if grid.is_roomy else 11},
        range=[-0.5, len(columns) - 0.5],
        showgrid=False,
        zeroline=False,
        title_text=_caption(columns, has_instance),
    )
    figure.update_yaxes(visible=False, range=[-0.02, 1.02])


def _caption(columns: list[_Column], has_instance: bool) -> str:
    """How to read the marks, and what is not drawn."""
    parts = ["strong colour, on top: on the routes of many images"]
    hidden = sum(column.units - len(column.rows) for column in columns)
    missing = sum(column.left_out for column in columns)
    if hidden:
        rest = f"{hidden:,} rarer units are not drawn"
        parts.append(f"{rest}, {missing:,} of them on this image’s route" if has_instance and missing else rest)
    return "<br>".join(parts)
