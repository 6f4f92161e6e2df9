"""Density of paths: the share of a layer's, or a model's, synapses that is on them."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboard.figures.labels import Series, layer_ticks, plain, series, shorten, unique_labels
from dashboard.figures.theme import Theme, bar_marker, new_figure, palette

_MEANINGS = ("clean", "adversarial", "shared", "reference")
_WITHOUT_MEANING = ("accent", "muted")
_ALL_TICKS = 40  # with more classes about so many have one:
_SOME_TICKS = 10


def density_per_layer(layers: Sequence[str], values: Mapping[str, Series], theme: Theme = "light") -> go.Figure:
    """Grouped bars: the density of one or several paths in each layer, on an axis in percent.

    Args:
        layers: L layer names in execution order.
        values: for each label a density in [0, 1] per layer. The labels clean, adversarial, shared and reference take
            the colour that has their meaning.
        theme: `"light"` or `"dark"`.

    Raises:
        ValueError: when a sequence has another length than `layers`.
    """
    figure = new_figure(theme, bargap=0.3, bargroupgap=0.06, showlegend=len(values) > 1)
    names = unique_labels(layers)
    for place, (label, densities) in enumerate(values.items()):
        meaning = label if label in _MEANINGS else _WITHOUT_MEANING[place % len(_WITHOUT_MEANING)]
        bars = go.Bar(
            name=plain(label),
            x=names,
            y=series(layers, densities),
            marker=bar_marker(meaning, theme),
            hovertemplate="%{x}: %{y:.2%}<extra>%{fullData.name}</extra>",
        )
        figure.add_trace(bars)
    figure.update_xaxes(showgrid=False, title_text="layer", **layer_ticks(layers))
    figure.update_yaxes(title_text="density", tickformat="~%", rangemode="tozero")
    return figure


def density_growth(
    names: Sequence[str], values: npt.NDArray[np.floating] | Sequence[float], theme: Theme = "light"
) -> go.Figure:
    """A line: the density of the union of the first classes, as one class after another is merged into it.

    Args:
        names: K class names in the order of merging.
        values: (K,) densities in [0, 1]; entry k is that of classes 0 to k together.
        theme: `"light"` or `"dark"`.

    Raises:
        ValueError: when there is not one value a class.
    """
    color = palette(theme)["accent"]
    many = len(names) > 60
    labels = unique_labels(names)
    line = go.Scatter(
        name="density of the union",
        x=labels,
        y=series(names, values),
        mode="lines" if many else "lines+markers",
        line={"color": color, "width": 2.5},
        marker={"color": color, "size": 8},
        hovertemplate="up to %{x}: %{y:.2%}<extra></extra>",
    )
    figure = new_figure(theme)
    figure.add_trace(line)
    figure.update_xaxes(type="category", showgrid=False, title_text="class merged last")
    step = 1 if len(names) <= _ALL_TICKS else -(-len(names) // _SOME_TICKS)
    figure.update_xaxes(tickvals=labels[::step], ticktext=[shorten(name, 14) for name in names[::step]])
    figure.update_yaxes(title_text="density of the union", tickformat="~%", rangemode="tozero")
    return figure
