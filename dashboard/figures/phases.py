"""What happens to class paths over the epochs of a training (Qiu et al. 2018, figure 8)."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.figures.axes import Numbers, numbers
from dashboard.figures.theme import CUES, Theme, new_figure, palette, translucent

_BOX_WIDTH = 0.5
#: Of the lines: key in an epoch's figures, label, and the colour's meaning.
_LINES = (("accuracy", "accuracy", "clean"), ("density", "density", "shared"))


def training_phases(epochs: Sequence[Mapping[str, Any]], theme: Theme = "light") -> go.Figure:
    """A box an epoch: the similarity of every two classes' paths; above it accuracy and density as lines.

    Args:
        epochs: of each `epoch`, `similarity` (a value for every two classes), `density` and `accuracy`, all in [0, 1];
            None is missing.
        theme: `"light"` or `"dark"`.

    Returns:
        A figure; each box spans the middle half of the similarities, its whiskers all of them.
    """
    figure = new_figure(theme, hovermode="closest")
    figure.add_trace(_boxes(epochs, theme))
    places = [one["epoch"] for one in epochs]
    for key, label, meaning in _LINES:
        figure.add_trace(_line(places, [one[key] for one in epochs], label, meaning, theme))
    first, last = (places[0], places[-1]) if places else (0, 1)
    ticks = {"dtick": 1} if len(places) <= 16 else {"nticks": 12}
    figure.update_xaxes(title_text="epoch", range=[first - 0.6, last + 0.6], showgrid=False, zeroline=False, **ticks)
    figure.update_yaxes(title_text="similarity, density, accuracy", range=[-0.03, 1.03], zeroline=False)
    return figure


def _boxes(epochs: Sequence[Mapping[str, Any]], theme: Theme) -> go.Box:
    rows = [[one["epoch"], value] for one in epochs for value in one["similarity"] if value is not None]
    color = palette(theme)["accent"]
    return go.Box(
        name="similarity of two classes",
        x=[row[0] for row in rows],
        y=numbers([row[1] for row in rows]),
        width=_BOX_WIDTH,
        boxpoints=False,
        line={"color": color, "width": 1.5},
        fillcolor=translucent(color, 0.25),
        customdata=rows,
        meta={"columns": ["epoch", "similarity"]},
        hoverinfo="y",
    )


def _line(epochs: Sequence[int], values: Numbers, label: str, meaning: str, theme: Theme) -> go.Scatter:
    symbol, dash, _ = CUES[meaning]
    found = numbers(values)
    return go.Scatter(
        name=label,
        x=list(epochs),
        y=found,
        mode="lines+markers",
        line={"color": palette(theme)[meaning], "dash": dash, "width": 2.5},
        marker={"color": palette(theme)[meaning], "symbol": symbol, "size": 8},
        customdata=[[epoch, value] for epoch, value in zip(epochs, found.tolist(), strict=True)],
        meta={"columns": ["epoch", label]},
        hovertemplate="epoch %{x}: %{y:.1%}<extra>%{fullData.name}</extra>",
    )
