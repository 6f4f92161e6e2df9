"""The weights of the joint-similarity detector, layer by layer."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboard.figures.labels import layer_ticks, unique_labels
from dashboard.figures.theme import Theme, bar_marker, new_figure

#: Ranks have no colour of their own; these two carry no meaning.
RANK_MARKERS: Mapping[str, str] = {"rank 1": "accent", "rank 2": "muted"}
_SEPARATOR = ", rank "


def coefficients(
    names: Sequence[str], values: Sequence[float] | npt.NDArray[np.floating], theme: Theme = "light"
) -> go.Figure:
    """Grouped bars: ω of the rank-1 and of the rank-2 similarity in each layer.

    Args:
        names: 2L names of features, as `conv1, rank 1`.
        values: 2L weights, 0 or more.
        theme: `"light"` or `"dark"`.

    Raises:
        ValueError: as :func:`by_rank`.
    """
    layers, ranks = by_rank(names, values)
    labels = unique_labels(layers)
    figure = new_figure(theme, bargap=0.3, bargroupgap=0.06, showlegend=bool(layers))
    for rank, heights in ranks.items():
        bars = go.Bar(
            name=rank,
            x=labels,
            y=heights,
            marker=bar_marker(RANK_MARKERS[rank], theme),
            hovertemplate="%{x}: ω = %{y:.3f}<extra>%{fullData.name}</extra>",
        )
        figure.add_trace(bars)
    figure.update_xaxes(showgrid=False, title_text="layer", **layer_ticks(layers))
    figure.update_yaxes(title_text="weight ω<br>(large: the layer decides more)", rangemode="tozero")
    return figure


def by_rank(
    names: Sequence[str], values: Sequence[float] | npt.NDArray[np.floating]
) -> tuple[list[str], dict[str, npt.NDArray[np.float64]]]:
    """Features of a detector sorted by layer and rank.

    Args:
        names: names of features, as `conv1, rank 1`.
        values: one a name; None is missing.

    Returns:
        the layers in their order, and for `rank 1` and `rank 2` a value per layer, NaN where there is none.

    Raises:
        ValueError: when there is not one value a name, or a name has not this form.
    """
    if len(names) != len(values):
        raise ValueError(f"Expected {len(names)} values, one a name, got {len(values)}.")
    found: dict[str, dict[str, float]] = {rank: {} for rank in RANK_MARKERS}
    for name, value in zip(names, values, strict=True):
        layer, separator, rank = name.rpartition(_SEPARATOR)
        if not separator or f"rank {rank}" not in found:
            raise ValueError(f"Expected names like 'conv1, rank 1', got {name!r}.")
        found[f"rank {rank}"][layer] = np.nan if value is None else float(value)
    layers = list(dict.fromkeys(layer for kept in found.values() for layer in kept))
    return layers, {
        rank: np.array([kept.get(layer, np.nan) for layer in layers], dtype=np.float64)
        for rank, kept in found.items()
        if kept
    }
