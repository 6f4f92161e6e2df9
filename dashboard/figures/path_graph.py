"""The path graph: layers as columns, units as nodes, bundles of synapses as edges, coloured by whose path has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import plotly.graph_objects as go

from dashboard.figures.bundles import (
    ADVERSARIAL,
    CLEAN,
    INPUT,
    SHARED,
    Ints,
    LayerBundles,
    SynapsePath,
    categories,
    input_units,
    layer_bundles,
    sum_by_unit,
)
from dashboard.figures.labels import plain, shorten
from dashboard.figures.theme import CUES, Theme, new_figure, palette

# In drawing order: what both paths use lies below what tells them apart.
_KINDS: Final = (
    (SHARED, "shared", "both"),
    (CLEAN, "clean", "mainly clean"),
    (ADVERSARIAL, "adversarial", "mainly adversarial"),
)
_LEGEND_RANK: Final = {CLEAN: 1, SHARED: 2, ADVERSARIAL: 3}
# (up to this share of the strongest bundle on a logarithmic scale, line width in px, opacity)
_WIDTHS: Final = ((0.34, 0.8, 0.55), (0.67, 1.6, 0.65), (1.0, 3.2, 0.75))
_COUNTS: Final = ["clean only", "adversarial only", "both"]
_NODE_COLUMNS: Final = ["layer", "unit", *_COUNTS]
_EDGE_COLUMNS: Final = ["layer", "unit", "from layer", "from unit", *_COUNTS]
# With more columns or longer names, labels turn upright and lose their second line.
_LABELLED_COLUMNS: Final = 9
_LABEL_LENGTH: Final = 14


@dataclass(frozen=True, slots=True)
class _Column:
    """One layer's nodes."""

    layer: str
    total: int  # units of the layer
    used: int  # units on a path
    units: Ints  # (n,) shown, ascending
    counts: Ints  # (n, 3) synapses into the unit (out of it, for the input)
    heights: np.ndarray  # (n,) y in (0, 1), the first unit on top
    note: str  # what the hover adds


@dataclass(frozen=True, slots=True)
class _Edges:
    """The bundles that are drawn, of all layers together."""

    ends: np.ndarray  # (E, 4): x and y where it starts, x and y where it ends
    counts: Ints  # (E, 3)
    rows: list[list]  # per edge its _EDGE_COLUMNS
    total: int  # bundles on the paths, drawn or not


def path_graph(
    clean: SynapsePath,
    adversarial: SynapsePath | None,
    max_edges: int = 300,
    max_units: int = 32,
    theme: Theme = "light",
    class_names: Sequence[str] | None = None,
) -> go.Figure:
    """Draw one effective path, or a clean and an adversarial one over each other.

    Every layer shows its most used units and its strongest bundles (most synapses); the edges are shared out so that a
    layer with many bundles does not take those of the others. A layer whose inputs fit no earlier layer shows nodes
    alone, and its hover says so. For clicks, nodes carry `customdata` [layer, unit, clean only, adversarial only,
    both], edges (by invisible markers half way) [layer, unit, from layer, from unit, and the same three counts].

    Args:
        clean: path of the original image.
        adversarial: path of its adversarial image, or None.
        max_edges: most edges in the whole graph, at least 0.
        max_units: most nodes in a column, at least 1.
        theme: `"light"` or `"dark"`.
        class_names: names for the units of the last layer.
    """
    bundles = layer_bundles(clean, adversarial)
    columns = _columns(clean, bundles, max_units)
    edges = _edges(bundles, columns, max_edges)
    figure = new_figure(theme, hovermode="closest", legend={"traceorder": "normal", "itemsizing": "constant"})
    _draw_edges(figure, edges, theme)
    _draw_nodes(figure, list(columns.values()), theme, paired=adversarial is not None)
    _label_columns(figure, list(columns.values()), edges)
    if class_names is not None and columns:
        _label_classes(figure, list(columns.values())[-1], len(columns) - 1, class_names)
    return figure


def edge_quotas(available: Sequence[int], total: int) -> list[int]:
    """Share `total` edges out over layers: equal parts, and what a layer cannot use goes to the others.

    Args:
        available: bundles of each layer.
        total: edges in all.

    Returns:
        One quota a layer, at most what is available there; their sum is at most `total`.
    """
    quotas = [0] * len(available)
    left = max(total, 0)
    order = sorted(range(len(available)), key=lambda layer: available[layer])
    for done, layer in enumerate(order):
        quotas[layer] = min(available[layer], left // (len(order) - done))
        left -= quotas[layer]
    return quotas


def _columns(path: SynapsePath, bundles: list[LayerBundles], max_units: int) -> dict[str, _Column]:
    columns: dict[str, _Column] = {}
    if bundles:
        first = bundles[0]
        total = input_units(path.shapes[first.layer])
        columns[INPUT] = _column(INPUT, total, first.in_unit, first.counts, max_units, "")
    for entry in bundles:
        note = "" if entry.source else "<br>edges not drawn: its inputs fit no single earlier layer"
        total = path.shapes[entry.layer].out_channels
        columns[entry.layer] = _column(entry.layer, total, entry.out_unit, entry.counts, max_units, note)
    return columns


def _column(layer: str, total: int, units: Ints, counts: Ints, max_units: int, note: str) -> _Column:
    used, sums = sum_by_unit(units, counts)
    strongest = np.argsort(-sums.sum(axis=1), kind="stable")[: max(max_units, 1)]
    shown = np.sort(strongest)
    heights = 1 - (np.arange(len(shown)) + 0.5) / max(len(shown), 1)
    return _Column(layer, total, len(used), used[shown], sums[shown], heights, note)


def _edges(bundles: list[LayerBundles], columns: Mapping[str, _Column], max_edges: int) -> _Edges:
    place = {layer: x for x, layer in enumerate(columns)}
    drawable = [_drawable(entry, columns) for entry in bundles]
    quotas = edge_quotas([len(choice) for choice in drawable], max_edges)
    ends, counts, rows = [np.empty((0, 4))], [np.empty((0, 3), dtype=np.int64)], []
    for entry, choice, quota in zip(bundles, drawable, quotas, strict=True):
        if entry.source is None or quota == 0:
            continue
        strength = entry.counts[choice].sum(axis=1)
        kept = choice[np.argsort(-strength, kind="stable")[:quota]]
        source, target = columns[entry.source], columns[entry.layer]
        in_unit, out_unit = entry.in_unit[kept], entry.out_unit[kept]
        y0 = source.heights[np.searchsorted(source.units, in_unit)]
        y1 = target.heights[np.searchsorted(target.units, out_unit)]
        x0, x1 = np.full(len(kept), place[entry.source]), np.full(len(kept), place[entry.layer])
        ends.append(np.column_stack([x0, y0, x1, y1]))
        counts.append(entry.counts[kept])
        numbers = zip(out_unit.tolist(), in_unit.tolist(), entry.counts[kept].tolist(), strict=True)
        rows += [[entry.layer, out, entry.source, into, *three] for out, into, three in numbers]
    total = sum(len(entry.in_unit) for entry in bundles if entry.source is not None)
    return _Edges(np.concatenate(ends), np.concatenate(counts), rows, total)


def _drawable(entry: LayerBundles, columns: Mapping[str, _Column]) -> Ints:
    """Indices of the bundles whose two units are both shown."""
    if entry.source is None:
        return np.empty(0, dtype=np.int64)
    shown_in = np.isin(entry.in_unit, columns[entry.source].units)
    return np.flatnonzero(shown_in & np.isin(entry.out_unit, columns[entry.layer].units))


def _draw_edges(figure: go.Figure, edges: _Edges, theme: Theme) -> None:
    if not edges.rows:
        return
    strength = np.log1p(edges.counts.sum(axis=1))
    width_class = np.searchsorted([limit for limit, _, _ in _WIDTHS[:-1]], strength / strength.max())
    kinds = categories(edges.counts)
    for kind, meaning, label in _KINDS:
        for level, (_, width, opacity) in enumerate(_WIDTHS):
            chosen = edges.ends[(kinds == kind) & (width_class == level)]
            if len(chosen) == 0:
                continue
            gap = np.full(len(chosen), np.nan)
            figure.add_scatter(
                name=label,
                x=np.column_stack([chosen[:, 0], chosen[:, 2], gap]).ravel(),
                y=np.column_stack([chosen[:, 1], chosen[:, 3], gap]).ravel(),
                mode="lines",
                line={"color": palette(theme)[meaning], "width": width},
                opacity=opacity,
                hoverinfo="skip",
                legendgroup=meaning,
                showlegend=False,
            )
    figure.add_scatter(
        name="bundle",
        x=(edges.ends[:, 0] + edges.ends[:, 2]) / 2,
        y=(edges.ends[:, 1] + edges.ends[:, 3]) / 2,
        mode="markers",
        marker={"size": 7, "opacity": 0, "color": palette(theme)["muted"]},
        customdata=edges.rows,
        meta={"columns": _EDGE_COLUMNS},
        hovertemplate="%{customdata[2]} unit %{customdata[3]} → %{customdata[0]} unit %{customdata[1]}<br>synapses: "
        "%{customdata[4]} clean only, %{customdata[5]} adversarial only, %{customdata[6]} both<extra></extra>",
        showlegend=False,
    )


def _draw_nodes(figure: go.Figure, columns: list[_Column], theme: Theme, *, paired: bool) -> None:
    densest = max((len(column.units) for column in columns), default=1)
    size = float(np.clip(300 / max(densest, 1), 5, 13))
    paper = palette(theme)["paper"]
    for kind, meaning, label in _KINDS:
        x, y, rows, notes = _nodes_of_kind(columns, kind)
        if not rows:
            continue
        color, symbol = palette(theme)[meaning], CUES[meaning][0]
        figure.add_scatter(
            name=label if paired else "path",
            x=x,
            y=y,
            mode="markers",
            marker={"color": color, "size": size, "symbol": symbol, "line": {"color": paper, "width": 1}},
            customdata=rows,
            text=notes,
            meta={"columns": _NODE_COLUMNS},
            cliponaxis=False,
            legendgroup=meaning,
            legendrank=_LEGEND_RANK[kind],
            showlegend=True,
            hovertemplate="%{customdata[0]} unit %{customdata[1]} %{text}: %{customdata[2]} clean only, "
            "%{customdata[3]} adversarial only, %{customdata[4]} both<extra></extra>",
        )


def _nodes_of_kind(columns: list[_Column], kind: int) -> tuple[list[int], list[float], list[list], list[str]]:
    """Positions, customdata and hover notes of the nodes of one category."""
    x, y, rows, notes = [], [], [], []
    for place, column in enumerate(columns):
        chosen = np.flatnonzero(categories(column.counts) == kind)
        units, counts = column.units[chosen].tolist(), column.counts[chosen].tolist()
        x += [place] * len(chosen)
        y += column.heights[chosen].tolist()
        rows += [[column.layer, unit, *three] for unit, three in zip(units, counts, strict=True)]
        direction = "out of" if column.layer == INPUT else "into"
        notes += [f"of {column.total}{column.note}<br>synapses {direction} it"] * len(chosen)
    return x, y, rows, notes


def _label_columns(figure: go.Figure, columns: list[_Column], edges: _Edges) -> None:
    longest = max((len(column.layer) for column in columns), default=0)
    roomy = len(columns) <= _LABELLED_COLUMNS and longest <= _LABEL_LENGTH
    labels = []
    for column in columns:
        shown, used = len(column.units), column.used
        extent = f"{shown} of {used} units" if shown < used else f"{used} unit{'' if used == 1 else 's'}"
        labels.append(f"{plain(column.layer)}<br>{extent}" if roomy else plain(column.layer))
    drawn = len(edges.rows)
    caption = f"{drawn:,} of {edges.total:,} bundles drawn, each layer's strongest" if drawn < edges.total else ""
    figure.update_xaxes(
        tickvals=list(range(len(columns))),
        ticktext=labels,
        autotickangles=[0, -90] if roomy else [-90],  # upright where a narrow page leaves them no room
        range=[-0.35, len(columns) - 0.65],
        showgrid=False,
        zeroline=False,
        title_text=caption,
    )
    figure.update_yaxes(visible=False, range=[-0.02, 1.02])


def _label_classes(figure: go.Figure, column: _Column, place: int, class_names: Sequence[str]) -> None:
    """Class names to the right of the last column, where its units are the classes."""
    if len(class_names) != column.total:
        return
    names = [shorten(class_names[unit], 18) for unit in column.units.tolist()]
    for name, height in zip(names, column.heights.tolist(), strict=True):
        figure.add_annotation(x=place, y=height, text=name, showarrow=False, xanchor="left", xshift=11)
    longest = max((len(name) for name in names), default=0)
    figure.update_layout(margin_r=20 + 8 * longest)
