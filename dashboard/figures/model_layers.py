"""One quantity of several models, layer by layer (Zhang et al. 2020, figure 17 b)."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.figures.axes import value_axis
from dashboard.figures.labels import layer_ticks, series, shorten, unique_labels
from dashboard.figures.theme import Theme, new_figure, sequence_style

_NAME_LENGTH = 28


def models_by_layer(
    layers: Sequence[str],
    models: Sequence[Mapping[str, Any]],
    quantity: str,
    theme: Theme = "light",
    *,
    is_share: bool = False,
) -> go.Figure:
    """A line a model; logarithmic where the values span more than 30 times.

    Args:
        layers: L layer names in execution order.
        models: `label` and `values` of each: L values of 0 or more, or by layer name; None is a gap.
        quantity: the axis's title.
        theme: `"light"` or `"dark"`.
        is_share: whether the values are shares in [0, 1], shown in percent.

    Raises:
        ValueError: when a model's values are not one a layer.
    """
    figure = new_figure(theme, showlegend=len(models) > 1, hovermode="x")
    names, seen = unique_labels(layers), []
    for place, model in enumerate(models):
        values = series(layers, model["values"])
        seen += values.tolist()
        color, symbol, dash = sequence_style(place, theme)
        line = go.Scatter(
            name=shorten(model["label"], _NAME_LENGTH),
            x=names,
            y=values,
            mode="lines+markers",
            line={"color": color, "dash": dash, "width": 2},
            marker={"color": color, "symbol": symbol, "size": 8},
            customdata=[[model["label"], layer, value] for layer, value in zip(layers, values.tolist(), strict=True)],
            meta={"columns": ["model", "layer", quantity.replace("<br>", " ")]},
            hovertemplate=f"%{{x}}: %{{y:{'.2%' if is_share else '.4g'}}}<extra>%{{fullData.name}}</extra>",
        )
        figure.add_trace(line)
    figure.update_xaxes(showgrid=False, title_text="layer", range=[-0.4, len(names) - 0.6], **layer_ticks(layers))
    shares = {"rangemode": "tozero", "tickformat": "~%"}
    figure.update_yaxes(title_text=quantity, **(shares if is_share else value_axis(seen)))
    return figure
