"""ROC curves of a detector, one for each attack."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dashboard.figures.labels import shorten
from dashboard.figures.theme import Theme, new_figure, palette, sequence_style, translucent

_NAME_LENGTH = 20  # in the key; the table has the whole name
_COLUMNS = ["attack", "false positive rate", "true positive rate"]
_SHOWN_MARKERS = 8  # a symbol now and then tells the lines apart; one at each of 200 points would hide them
_RATE = {"range": [-0.015, 1.015], "tickvals": [0, 0.25, 0.5, 0.75, 1], "tickformat": ".0%", "zeroline": False}


def roc_curves(
    curves: Mapping[str, Mapping[str, Any]],
    theme: Theme = "light",
    chosen: str | None = None,
    point: tuple[float, float] | None = None,
) -> go.Figure:
    """The share of attacked images found against the share of normal images flagged, a line an attack.

    Args:
        curves: by attack, `fpr` and `tpr` (equally long, in [0, 1], in the order of the curve), and `auc`; an `auc` of
            None or NaN is left out of the key.
        theme: `"light"` or `"dark"`.
        chosen: the attack whose line is drawn strong, the others thin; without it, or for an attack that has no curve,
            all lines are alike.
        point: (false, true) positive rate of the chosen threshold.

    Raises:
        ValueError: when `fpr` and `tpr` of a curve differ in length.
    """
    colors = palette(theme)
    figure = new_figure(theme, hovermode="closest")
    chance = {"x": [0, 1], "y": [0, 1], "mode": "lines", "hoverinfo": "skip", "showlegend": False}
    figure.add_trace(go.Scatter(name="chance", line={"color": colors["muted"], "width": 1, "dash": "dot"}, **chance))
    for place, (attack, curve) in enumerate(curves.items()):
        strength = "plain" if chosen not in curves else "strong" if attack == chosen else "thin"
        figure.add_trace(_line(attack, curve, place, strength, theme))
    if point is not None:
        figure.add_trace(_point(point, theme))
    figure.update_xaxes(title_text="normal images flagged (FPR)", constrain="domain", **_RATE)
    figure.update_yaxes(title_text="attacked images found (TPR)", constrain="domain", **_RATE)
    figure.update_yaxes(scaleanchor="x", scaleratio=1)
    # Good curves leave the lower right free for the key; in a wide card the key stands beside the square.
    figure.update_xaxes(constraintoward="left")
    figure.update_yaxes(constraintoward="bottom")
    legend: dict[str, Any] = {"orientation": "v", "x": 1, "xanchor": "right", "y": 0.02, "yanchor": "bottom"}
    figure.update_layout(margin={"r": 24})  # room for half of the last tick's label
    figure.update_layout(legend=legend | {"font": {"size": 12}, "bgcolor": translucent(colors["paper"], 0.8)})
    return figure


def _line(attack: str, curve: Mapping[str, Any], place: int, strength: str, theme: Theme) -> go.Scatter:
    false, true = (np.array(curve[rate], dtype=np.float64) for rate in ("fpr", "tpr"))
    if false.shape != true.shape:
        raise ValueError(f"Expected as many true as false positive rates for {attack}, got {true.size}, {false.size}.")
    color, symbol, dash = sequence_style(place, theme)
    auc = curve.get("auc")
    measured = auc is not None and np.isfinite(auc)
    return go.Scatter(
        name=shorten(attack, _NAME_LENGTH) + (f", AUC {auc:.3f}" if measured else ""),
        x=false,
        y=true,
        mode="lines+markers",
        line={"color": color, "dash": dash, "width": {"strong": 4, "plain": 2, "thin": 1.2}[strength]},
        marker={"color": color, "symbol": symbol, "size": 9 if strength == "strong" else 7}
        | {"maxdisplayed": _SHOWN_MARKERS},
        opacity=0.7 if strength == "thin" else 1,
        customdata=[[attack, x, y] for x, y in zip(false.tolist(), true.tolist(), strict=True)],
        meta={"columns": _COLUMNS},
        zorder=2 if strength == "strong" else 1,
        hovertemplate="%{y:.1%} found, %{x:.1%} flagged<extra>%{fullData.name}</extra>",
    )


def _point(point: tuple[float, float], theme: Theme) -> go.Scatter:
    colors = palette(theme)
    ring = {"symbol": "circle-open", "size": 15, "color": colors["ink"], "line": {"width": 3}}
    return go.Scatter(
        name="at the threshold",
        x=[point[0]],
        y=[point[1]],
        mode="markers",
        marker=ring,
        customdata=[["at the threshold", *point]],
        meta={"columns": _COLUMNS},
        zorder=3,
        hovertemplate="%{y:.1%} found, %{x:.1%} flagged<extra>at the threshold</extra>",
    )
