"""Do the units on the route differ from the others? Their mean sensitivity or gradient, layer by layer."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from dashboard.figures.axes import numbers, value_axis
from dashboard.figures.labels import layer_ticks, unique_labels
from dashboard.figures.theme import CUES, Theme, new_figure, palette

#: What can be compared, as the axis says it.
QUANTITIES: Final[Mapping[str, str]] = {
    "sensitivity": "mean sensitivity<br>(change of the output)",
    "gradient": "mean gradient<br>|∂ loss / ∂ unit|",
}
_SIDES: Final = (("off", "muted", "other units"), ("on", "adversarial", "on the route"))
_COLUMNS = ["layer", "units", "mean", "ratio", "p"]


def on_off(contrast: Sequence[Mapping[str, Any]], quantity: str, theme: Theme = "light") -> go.Figure:
    """Two marks a layer, for the units on the route and off it; logarithmic where they span more than 30 times.

    Args:
        contrast: of each layer in execution order `layer`, and for the quantity `on`, `off`, `ratio` and `p` (of the
            Mann-Whitney test); None is missing.
        quantity: a key of `QUANTITIES`.
        theme: `"light"` or `"dark"`.

    Raises:
        ValueError: for another quantity.
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"Expected the quantity to be one of {', '.join(QUANTITIES)}, got {quantity!r}.")
    layers = [entry["layer"] for entry in contrast]
    names = unique_labels(layers)
    found = [entry[quantity] for entry in contrast]
    means = {side: numbers([one[side] for one in found]) for side, _, _ in _SIDES}
    figure = new_figure(theme, hovermode="closest", legend={"traceorder": "reversed"})
    figure.add_trace(_links(names, means, theme))
    for side, meaning, label in _SIDES:
        rows = [
            [layer, label, mean, one["ratio"], one["p"]]
            for layer, mean, one in zip(layers, means[side].tolist(), found, strict=True)
        ]
        marks = go.Scatter(
            name=label,
            x=names,
            y=means[side],
            mode="markers",
            marker={"color": palette(theme)[meaning], "symbol": CUES[meaning][0], "size": 11},
            customdata=rows,
            text=[_significance(one) for one in found],
            meta={"columns": _COLUMNS},
            hovertemplate="%{x}: %{y:.3g}<br>%{text}<extra>%{fullData.name}</extra>",
        )
        figure.add_trace(marks)
    figure.update_xaxes(showgrid=False, title_text="layer", range=[-0.5, len(names) - 0.5], **layer_ticks(layers))
    figure.update_yaxes(title_text=QUANTITIES[quantity], **value_axis(np.concatenate(list(means.values()))))
    return figure


def _links(names: list[str], means: Mapping[str, np.ndarray], theme: Theme) -> go.Scatter:
    """A thin line between both marks of each layer."""
    known = np.flatnonzero(np.isfinite(means["on"]) & np.isfinite(means["off"])).tolist()
    return go.Scatter(
        name="difference",
        x=[name for place in known for name in (names[place], names[place], None)],
        y=[end for place in known for end in (means["on"][place], means["off"][place], None)],
        mode="lines",
        line={"color": palette(theme)["muted"], "width": 1.5},
        hoverinfo="skip",
        showlegend=False,
    )


def _significance(found: Mapping[str, Any]) -> str:
    parts = []
    if found["ratio"] is not None:
        parts.append(f"on the route {found['ratio']:.3g} times the others")
    if found["p"] is not None:
        parts.append(f"Mann–Whitney p = {found['p']:.2g}")
    return "<br>".join(parts) or "nothing to compare with"
