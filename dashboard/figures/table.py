"""The numbers of a figure as CSV text."""

import base64
import csv
import html
import io
import math
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
import plotly.graph_objects as go

Row = dict[str, Any]


def figure_table(figure: go.Figure) -> str:
    """All data of a figure as one table, a row per point, bar, matrix cell or pixel.

    Columns are `trace` and what the traces have: `x`, `y`; `z` for matrices and gray images; `red`, `green`, `blue` for
    colour images. A trace whose `meta` names the columns of its customdata (`{"columns": [...]}`) gives those in place
    of x and y, which are then only positions on the page; customdata of a matrix has rows of cells. Traces without
    hover (`hoverinfo="skip"`) are decoration and left out, missing values are empty cells, and points without any value
    (gaps) have no row.

    Args:
        figure: made of scatter, bar, heatmap and image traces.

    Returns:
        CSV with a header row and `\\n` line ends.

    Raises:
        ValueError: for another kind of trace.
    """
    rows = [row for trace in figure.data if trace.hoverinfo != "skip" for row in _trace_rows(trace)]
    columns = list(dict.fromkeys(["trace", *(name for row in rows for name in row)]))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _trace_rows(trace: Any) -> Iterator[Row]:
    name = _cell(trace.name or "")
    if isinstance(trace.meta, Mapping) and "columns" in trace.meta:
        points = chain.from_iterable(trace.customdata) if trace.type == "heatmap" else trace.customdata
        rows = (dict(zip(trace.meta["columns"], values, strict=True)) for values in points)
    elif trace.type in ("scatter", "bar"):
        rows = _points(trace)
    elif trace.type == "heatmap":
        rows = _matrix(trace)
    elif trace.type == "image":
        rows = _pixels(trace)
    else:
        raise ValueError(f"Expected scatter, bar, heatmap or image traces, got {trace.type}.")
    for row in rows:
        yield {"trace": name} | {column: _cell(value) for column, value in row.items()}


def _points(trace: Any) -> Iterator[Row]:
    x, y = _values(trace.x), _values(trace.y)
    for place in range(max(len(x), len(y))):
        point = {"x": x[place] if len(x) else place, "y": y[place] if len(y) else place}
        if any(_cell(value) != "" for value in point.values()):
            yield point


def _matrix(trace: Any) -> Iterator[Row]:
    z = _values(trace.z)
    x = _values(trace.x) if trace.x is not None else range(z.shape[1])
    y = _values(trace.y) if trace.y is not None else range(z.shape[0])
    for row, label in enumerate(y):
        for column, other in enumerate(x):
            yield {"x": other, "y": label, "z": z[row, column]}


def _pixels(trace: Any) -> Iterator[Row]:
    z = _values(trace.z)
    for y, line in enumerate(z):
        for x, (red, green, blue) in enumerate(line[:, :3]):
            yield {"x": x, "y": y, "red": red, "green": green, "blue": blue}


def _values(value: Any) -> np.ndarray:
    """A trace's array. A figure that came back from a browser holds large arrays as base64 of their bytes."""
    if isinstance(value, Mapping):
        array = np.frombuffer(base64.b64decode(value["bdata"]), dtype=np.dtype(value["dtype"]).newbyteorder("<"))
        return array.reshape([int(size) for size in str(value["shape"]).split(",")]) if "shape" in value else array
    if value is None:
        return np.empty(0)
    array = np.asarray(value)
    return array if array.dtype.kind in "iufb" else np.asarray(value, dtype=object)


def _cell(value: Any) -> Any:
    """A value as it is written: names without the escapes of figure text, numbers short, nothing for missing ones."""
    if isinstance(value, str):
        return html.unescape(value)
    if value is None:
        return ""
    if isinstance(value, np.floating):
        # The shortest text that gives the same number in the array's own precision; adding 0 turns -0 into 0.
        return "" if np.isnan(value) else np.format_float_positional(value + 0.0, trim="-")
    if isinstance(value, float) and math.isnan(value):
        return ""
    return value
