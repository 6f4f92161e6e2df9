"""What each layer says about one image: whether it is attacked or normal."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboard.figures.coefficients import by_rank
from dashboard.figures.labels import plain, unique_labels
from dashboard.figures.theme import Theme, new_figure, palette

_NAME_LENGTH = 36
_ROW, _REST = 30, 125  # pixels
_PATTERNS = {"rank 1": "", "rank 2": "x"}


def contributions(
    names: Sequence[str], values: Sequence[float] | npt.NDArray[np.floating], theme: Theme = "light"
) -> go.Figure:
    """Diverging bars, a row a layer, the first on top: to the right they speak for an attack, to the left against it.

    Args:
        names: 2L names of features, as `conv1, rank 1`.
        values: 2L contributions to the score; above 0 they speak for an attack.
        theme: `"light"` or `"dark"`.

    Returns:
        A figure whose height, in the layout, is what its rows need.

    Raises:
        ValueError: when there is not one value a name, or a name has not the form above.
    """
    layers, ranks = by_rank(names, values)
    labels = unique_labels(layers)
    figure = new_figure(
        theme, barmode="group", bargap=0.25, bargroupgap=0.06, height=_REST + _ROW * max(2, len(layers))
    )
    for rank, widths in ranks.items():
        figure.add_trace(_bars(rank, labels, widths, theme))
    for rank in ranks:
        figure.add_trace(_key(rank, theme))
    figure.update_layout(showlegend=bool(layers), legend={"traceorder": "normal"})
    drawn = np.concatenate(list(ranks.values())) if ranks else np.empty(0)
    finite = np.abs(drawn[np.isfinite(drawn)])
    reach = 1.08 * float(finite.max()) if len(finite) and finite.max() > 0 else 1.0
    title = "speaks for<br>◀ normal  |  attack ▶"
    figure.update_xaxes(title_text=title, range=[-reach, reach], zeroline=True, zerolinewidth=2, nticks=7)
    figure.update_xaxes(zerolinecolor=palette(theme)["muted"])
    ticks = {"tickvals": labels, "ticktext": [_shown(layer) for layer in layers], "tickfont": {"size": 12}}
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, ticks="", **ticks)
    return figure


def _bars(rank: str, labels: list[str], widths: npt.NDArray[np.float64], theme: Theme) -> go.Bar:
    colors = palette(theme)
    sides = [colors["adversarial"] if width > 0 else colors["clean"] for width in widths]
    return go.Bar(
        name=rank,
        orientation="h",
        x=widths,
        y=labels,
        marker={"color": sides, "pattern": _pattern(rank, theme)},
        showlegend=False,
        legendgroup=rank,
        offsetgroup=rank,
        hovertemplate="%{y}, %{fullData.name}: %{x:+.3f}<extra></extra>",
    )


def _key(rank: str, theme: Theme) -> go.Bar:
    """A gray swatch for the key: which side a bar speaks for shows in its colour and direction, not in its pattern."""
    marker = {"color": palette(theme)["muted"], "pattern": _pattern(rank, theme)}
    place = {"x": [None], "y": [None], "legendgroup": rank, "offsetgroup": rank}  # beside no bar
    return go.Bar(name=rank, orientation="h", marker=marker, hoverinfo="skip", **place)


def _pattern(rank: str, theme: Theme) -> dict[str, Any]:
    shape = {"shape": _PATTERNS[rank], "fillmode": "overlay", "fgcolor": palette(theme)["paper"], "fgopacity": 0.8}
    return shape | {"size": 7, "solidity": 0.35}


def _shown(layer: str) -> str:
    """The layer's whole name; one that would take the bars' place loses its middle, not in the hover."""
    half = _NAME_LENGTH // 2
    return plain(layer if len(layer) <= _NAME_LENGTH else f"{layer[: half - 1]}…{layer[-half:]}")
