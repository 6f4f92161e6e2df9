"""The sensitivity ratio: how much a layer's output changes under attack, compared with the output itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from dashboard.figures.axes import Numbers, numbers, value_axis
from dashboard.figures.labels import shorten
from dashboard.figures.model_layers import models_by_layer
from dashboard.figures.theme import CUES, Theme, new_figure, palette, sequence_style

_NAME_LENGTH = 28
_TITLE = "mean sensitivity ratio<br>(change ÷ clean output)"
_OWN_COLORS = 8  # layers with a colour and a key of their own; more are coloured by their depth
_KEYS = 5
# The part of the scale that has contrast with the background.
_SCALE, _DEPTHS = "Viridis", {"light": (0.0, 0.75), "dark": (0.35, 1.0)}


def ratio_by_layer(layers: Sequence[str], models: Sequence[Mapping[str, Any]], theme: Theme = "light") -> go.Figure:
    """Mean sensitivity ratio of each layer, a line a model; logarithmic where the values span more than 30 times.

    Args:
        layers: L layer names in execution order.
        models: `label` and `ratios` of each: L values, or by layer name, 0 or more; None is a gap.
        theme: `"light"` or `"dark"`.

    Raises:
        ValueError: when a model's ratios are not one a layer.
    """
    lines = [{"label": model["label"], "values": model["ratios"]} for model in models]
    return models_by_layer(layers, lines, _TITLE, theme)


def ratio_by_strength(
    strengths: Sequence[float],
    layers: Sequence[str],
    ratio: Sequence[Numbers],
    success: Numbers,
    theme: Theme = "light",
) -> go.Figure:
    """Mean sensitivity ratio against the strength of the attack, a line a layer, and the share of images it misleads.

    Up to eight layers have colours of their own; more are coloured by their depth, with a key for some of them.

    Args:
        strengths: S values of ε.
        layers: L layer names in execution order.
        ratio: (S, L), 0 or more; None is a gap.
        success: (S,) share of the images misled, on an axis of its own to the right.
        theme: `"light"` or `"dark"`.

    Raises:
        ValueError: when `ratio` is not (S, L).
    """
    values = numbers(ratio) if len(ratio) else np.empty((0, len(layers)))
    if values.shape != (len(strengths), len(layers)):
        raise ValueError(f"Expected ratios of shape ({len(strengths)}, {len(layers)}), got {values.shape}.")
    figure = new_figure(theme)
    figure.add_trace(_misled(strengths, success, theme))
    for place, (layer, ratios) in enumerate(zip(layers, values.T, strict=True)):
        figure.add_trace(_of_layer(layer, strengths, ratios, _style(place, len(layers), theme)))
    ticks = {"tickvals": list(strengths), "ticktext": [f"{strength:.3g}" for strength in strengths]}
    figure.update_xaxes(title_text="strength ε of the attack", zeroline=False, **ticks)
    figure.update_yaxes(title_text=_TITLE, **value_axis(values.ravel()))
    shares = {"tickvals": [0, 0.25, 0.5, 0.75, 1], "tickformat": ".0%"}
    right = {"overlaying": "y", "side": "right", "showgrid": False, "zeroline": False}
    figure.update_layout(yaxis2={"title": {"text": "images misled"}, "range": [0, 1.02], **shares, **right})
    figure.update_layout(legend={"font": {"size": 12}})
    return figure


def _misled(strengths: Sequence[float], success: Numbers, theme: Theme) -> go.Scatter:
    shares = numbers(success)
    return go.Scatter(
        name="images misled",
        x=list(strengths),
        y=shares,
        yaxis="y2",
        mode="lines",
        line={"color": palette(theme)["muted"], "dash": CUES["muted"][1], "width": 2},
        customdata=[[strength, share] for strength, share in zip(strengths, shares.tolist(), strict=True)],
        meta={"columns": ["strength", "images misled"]},
        hovertemplate="ε = %{x:.4g}: %{y:.1%}<extra>images misled</extra>",
        legendrank=2000,
    )


def _of_layer(layer: str, strengths: Sequence[float], ratios: np.ndarray, style: Mapping[str, Any]) -> go.Scatter:
    rows = [[layer, strength, value] for strength, value in zip(strengths, ratios.tolist(), strict=True)]
    return go.Scatter(
        name=shorten(layer, 20),
        x=list(strengths),
        y=ratios,
        mode="lines+markers",
        customdata=rows,
        meta={"columns": ["layer", "strength", "ratio"]},
        hovertemplate="ε = %{x:.4g}: %{y:.3g}<extra>%{fullData.name}</extra>",
        **style,
    )


def _style(place: int, layers: int, theme: Theme) -> dict[str, Any]:
    """Colours, marks and dashes of their own for few layers; for many, the colour of the depth."""
    if layers <= _OWN_COLORS:
        color, symbol, dash = sequence_style(place, theme)
        return {"line": {"color": color, "dash": dash, "width": 2}, "marker": {"symbol": symbol, "size": 8}}
    first, last = _DEPTHS[theme]
    (color,) = sample_colorscale(_SCALE, [first + (last - first) * place / (layers - 1)])
    shown = {round(key * (layers - 1) / (_KEYS - 1)) for key in range(_KEYS)}
    return {"line": {"color": color, "width": 2}, "marker": {"size": 5}, "showlegend": place in shown}
