"""Accuracy against the strength of an attack, for several models (Zhang et al. 2020, figure 15)."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.figures.axes import numbers
from dashboard.figures.labels import shorten
from dashboard.figures.theme import Theme, new_figure, sequence_style

_NAME_LENGTH = 28
_COLUMNS = ["model", "strength", "accuracy", "low", "high"]


def accuracy_by_strength(models: Sequence[Mapping[str, Any]], theme: Theme = "light") -> go.Figure:
    """A line a model: the share of images right at each strength, with its 95 % interval.

    Args:
        models: of each `label`, and (P,) `epsilons`, `accuracy`, `low` and `high`, the shares in [0, 1]; None is a gap.
        theme: `"light"` or `"dark"`.

    Raises:
        ValueError: when a model's values are not one a strength.
    """
    figure = new_figure(theme, showlegend=len(models) > 1, hovermode="x")
    strengths = sorted({float(one) for model in models for one in model["epsilons"]})
    for place, model in enumerate(models):
        figure.add_trace(_line(model, place, theme))
    ticks = {"tickvals": strengths, "ticktext": [f"{one:.3g}" for one in strengths]} if len(strengths) <= 9 else {}
    figure.update_xaxes(title_text="strength ε of PGD L∞", zeroline=False, showgrid=False, **ticks)
    shares = {"tickvals": [0, 0.25, 0.5, 0.75, 1], "tickformat": ".0%", "zeroline": False}
    figure.update_yaxes(title_text="images classified<br>correctly", range=[-0.04, 1.04], **shares)
    return figure


def _line(model: Mapping[str, Any], place: int, theme: Theme) -> go.Scatter:
    strengths = [float(one) for one in model["epsilons"]]
    found = {name: numbers(model[name]) for name in ("accuracy", "low", "high")}
    if any(values.shape != (len(strengths),) for values in found.values()):
        raise ValueError(f"Expected {len(strengths)} values, one a strength, of {model['label']}.")
    color, symbol, dash = sequence_style(place, theme)
    columns = (strengths, *(values.tolist() for values in found.values()))
    return go.Scatter(
        name=shorten(model["label"], _NAME_LENGTH),
        x=strengths,
        y=found["accuracy"],
        error_y={
            "type": "data",
            "array": found["high"] - found["accuracy"],
            "arrayminus": found["accuracy"] - found["low"],
            "thickness": 1.2,
            "width": 3,
        },
        mode="lines+markers",
        line={"color": color, "dash": dash, "width": 2},
        marker={"color": color, "symbol": symbol, "size": 8},
        customdata=[[model["label"], *row] for row in zip(*columns, strict=True)],
        meta={"columns": _COLUMNS},
        hovertemplate="%{y:.1%} (%{customdata[3]:.1%} to %{customdata[4]:.1%})<extra>%{fullData.name}</extra>",
    )
