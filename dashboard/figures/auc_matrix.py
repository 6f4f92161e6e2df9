"""How well every method finds every attack: one matrix of AUC values, to click in."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go

from dashboard.figures.labels import shorten, unique_labels
from dashboard.figures.theme import Theme, new_figure, palette

#: Colours of 0.5 and of 1. One ink is readable (4.5:1) on all between them.
SCALE: Final[Mapping[str, tuple[str, str]]] = {"light": ("#F5F3FC", "#9C94E3"), "dark": ("#2B3038", "#5A50B0")}
_COLUMNS = ("method", "attack", "auc", "low", "high", "tpr at 5 % fpr", "normal", "attacked")
_ROW, _REST = 34, 110  # pixels
_COLUMN_LINE, _ROW_LINE = 9, 16  # characters of a label before it goes on in the next line
_LONGEST_WORD = 16


def auc_matrix(table: Sequence[Mapping[str, Any]], labels: Mapping[str, str], theme: Theme = "light") -> go.Figure:
    """A heatmap of methods (rows) by attacks (columns) with the AUC in each cell, coloured from 0.5 to 1.

    Args:
        table: a row per method and attack that was measured, with `method`, `attack`, `auc` and, where they are known,
            `low`, `high`, `tpr at 5 % fpr`, `normal`, `attacked`. What has no row, or no AUC, is an empty cell.
        labels: what a person reads for a method; one that is absent keeps its name.
        theme: `"light"` or `"dark"`.

    Returns:
        A figure whose cells carry `customdata` that begins with [method, attack] for clicks. Its height, in the layout,
        is what its rows need.
    """
    methods = list(dict.fromkeys(row["method"] for row in table))
    attacks = list(dict.fromkeys(row["attack"] for row in table))
    measured = {(row["method"], row["attack"]): row for row in table}
    cells = [[measured.get((method, attack), {}) for attack in attacks] for method in methods]
    names = unique_labels([labels.get(method, method) for method in methods])
    columns = unique_labels(attacks)
    heat = go.Heatmap(
        name="AUC",
        z=[[_number(cell.get("auc")) for cell in row] for row in cells],
        x=columns,
        y=names,
        zmin=0.5,
        zmax=1,
        colorscale=list(SCALE[theme]),
        showscale=False,
        xgap=2,
        ygap=2,
        hoverongaps=False,
        customdata=[
            [
                [method, attack, *(cell.get(name) for name in _COLUMNS[2:])]
                for attack, cell in zip(attacks, row, strict=True)
            ]
            for method, row in zip(methods, cells, strict=True)
        ],
        meta={"columns": list(_COLUMNS)},
        text=[[_text(cell.get("auc")) for cell in row] for row in cells],
        texttemplate="%{text}",
        textfont={"color": palette(theme)["ink"], "size": 13 if len(attacks) <= 5 else 11},
        hovertext=[[_hover(cell) for cell in row] for row in cells],
        hovertemplate="%{y}, %{x}<br>%{hovertext}<extra></extra>",
    )
    figure = new_figure(theme, height=_REST + _ROW * max(1, len(methods)))
    figure.add_trace(heat)
    ticks = {"type": "category", "showgrid": False, "ticks": ""}
    figure.update_xaxes(tickvals=columns, ticktext=[_wrap(name, _COLUMN_LINE) for name in attacks], side="top", **ticks)
    figure.update_xaxes(autotickangles=[0, -90], tickfont={"size": 13 if len(attacks) <= 5 else 11})
    figure.update_yaxes(tickvals=names, ticktext=[_wrap(labels.get(m, m), _ROW_LINE) for m in methods], **ticks)
    figure.update_yaxes(autorange="reversed")
    return figure


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _text(value: Any) -> str:
    return "" if math.isnan(_number(value)) else f"{value:.3f}"


def _hover(cell: Mapping[str, Any]) -> str:
    lines = [f"AUC {_text(cell.get('auc'))}"]
    if _text(cell.get("low")) and _text(cell.get("high")):
        lines.append(f"95% interval {_text(cell['low'])} to {_text(cell['high'])}")
    if _text(cell.get("tpr at 5 % fpr")):
        lines.append(f"{cell['tpr at 5 % fpr']:.1%} found where 5% of normal images are flagged")
    if cell.get("normal") is not None and cell.get("attacked") is not None:
        lines.append(f"{cell['normal']:,} normal images, {cell['attacked']:,} attacked")
    return "<br>".join(lines)


def _wrap(name: str, limit: int) -> str:
    """A label in up to three lines, broken at spaces after at most `limit` characters; long words lose their end."""
    lines: list[str] = []
    for word in str(name).split():
        if lines and len(f"{lines[-1]} {word}") <= limit:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    lines = [*lines[:2], " ".join(lines[2:])] if len(lines) > 2 else lines
    return "<br>".join(shorten(line, _LONGEST_WORD) for line in lines)
