"""Accuracy as units, or the weights between units, are damped by a factor β, beside a control."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from dashboard.figures.axes import WIDE_KEY, numbers, share_axis
from dashboard.figures.labels import shorten
from dashboard.figures.spread import Spread, spread
from dashboard.figures.theme import CUES, Theme, new_figure, palette, translucent

_SIDES: Final = (("clean", "clean"), ("adversarial", "attacked"))
_COLUMNS = ["images", "damped", "factor", "accuracy", "lowest draw", "highest draw"]

Lines = Mapping[str, tuple[Any, Any]]


def suppression_curves(entry: Mapping[str, Any], theme: Theme = "light") -> go.Figure:
    """Accuracy on clean and on attacked images against the factor on a layer's most sensitive units' outputs.

    Args:
        entry: one of a sensitivity report's `suppression`: `layer`, `betas` (B), `units` (how many are damped),
            `disjoint`, and `sensitive` and `control`, each with `clean` and `adversarial`: (B,) and (draws, B)
            accuracies in [0, 1]; None is a gap.
        theme: `"light"` or `"dark"`.
    """
    lines = {side: (entry["sensitive"][side], entry["control"][side]) for side, _ in _SIDES}
    count = "most sensitive unit" if entry["units"] == 1 else f"{entry['units']:,} most sensitive units"
    where = shorten(entry["layer"], 28)
    note = "" if entry.get("disjoint", True) else "<br>control: drawn from all units, too few are not sensitive"
    title = f"factor β on the {count} of {where}{note}"
    return _figure(entry["betas"], lines, "sensitive", title, theme)


def weakening_curves(entry: Mapping[str, Any], theme: Theme = "light") -> go.Figure:
    """Accuracy on clean and on attacked images against the factor on the weights that link units of the route.

    Args:
        entry: one of a route report's `weakening`: `layers` (those read and, last, the reading one), `betas` (B),
            `weights` (how many are damped), and `clean` and `adversarial`, each with `route` (B,) and `control`
            (draws, B) accuracies in [0, 1]; None is a gap.
        theme: `"light"` or `"dark"`.
    """
    lines = {side: (entry[side]["route"], entry[side]["control"]) for side, _ in _SIDES}
    layers = entry["layers"]
    ends = [shorten(layers[place], 20) for place in (0, -1)]
    count = f"{entry['weights']:,} weight{'' if entry['weights'] == 1 else 's'} between route units"
    where = " and ".join(ends) if len(layers) == 2 else f"{len(layers)} layers, {' to '.join(ends)}"
    return _figure(entry["betas"], lines, "route", f"factor β on {count}<br>of {where}", theme)


def _figure(betas: list[float], lines: Lines, name: str, title: str, theme: Theme) -> go.Figure:
    """A solid line and the control's dashed one with its range, for each side; β falls from left to right."""
    figure = new_figure(theme, hovermode="closest", legend=WIDE_KEY)
    seen: list[float] = []
    controls = {side: spread(lines[side][1], len(betas)) for side, _ in _SIDES}
    for side, _ in _SIDES:
        figure.add_trace(_band(betas, controls[side], side, theme))
    for side, label in _SIDES:
        control, values = controls[side], numbers(lines[side][0])
        rows = [[label, name, *row, None, None] for row in zip(betas, values.tolist(), strict=True)]
        figure.add_trace(_line(rows, label, side, is_control=False, theme=theme))
        ends = zip(betas, control.mean.tolist(), control.low.tolist(), control.high.tolist(), strict=True)
        rows = [[label, "control", *row] for row in ends]
        figure.add_trace(_line(rows, f"{label}, control", side, is_control=True, theme=theme))
        seen += [*values.tolist(), *control.low.tolist(), *control.high.tolist()]
    reach = (max(betas), min(betas)) if len(betas) else (1.0, 0.0)
    pad = 0.03 * (reach[0] - reach[1]) or 0.05
    figure.update_xaxes(title_text=title, range=[reach[0] + pad, reach[1] - pad], zeroline=False, nticks=8)
    figure.update_yaxes(title_text="images classified<br>correctly", **share_axis(seen))
    return figure


def _band(betas: list[float], control: Spread, side: str, theme: Theme) -> go.Scatter:
    """From the lowest to the highest draw."""
    known = np.flatnonzero(np.isfinite(control.mean))
    there_and_back = [*known.tolist(), *known[::-1].tolist()]
    return go.Scatter(
        name="range of the draws",
        x=[betas[place] for place in there_and_back],
        y=np.concatenate([control.low[known], control.high[known[::-1]]]),
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=translucent(palette(theme)[side], 0.18),
        legendgroup=f"{side} control",
        showlegend=False,
        hoverinfo="skip",
    )


def _line(rows: list[list[Any]], name: str, side: str, *, is_control: bool, theme: Theme) -> go.Scatter:
    symbol = CUES[side][0]
    ends = "<br>draws: %{customdata[4]:.1%} to %{customdata[5]:.1%}" if is_control else ""
    return go.Scatter(
        name=name,
        x=[row[2] for row in rows],
        y=numbers([row[3] for row in rows]),
        mode="lines+markers",
        line={
            "color": palette(theme)[side],
            "dash": "dash" if is_control else "solid",
            "width": 1.5 if is_control else 2.5,
        },
        marker={"symbol": f"{symbol}-open" if is_control else symbol, "size": 6 if is_control else 8},
        legendgroup=f"{side} control" if is_control else None,
        customdata=rows,
        meta={"columns": _COLUMNS},
        hovertemplate=f"β = %{{x:.3g}}: %{{y:.1%}}{ends}<extra>%{{fullData.name}}</extra>",
    )
