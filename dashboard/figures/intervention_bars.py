"""What changing a layer's route units does to the data set, beside the same done to other units."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from dashboard.figures.axes import WIDE_KEY, numbers
from dashboard.figures.labels import layer_ticks, unique_labels
from dashboard.figures.spread import Spread, spread
from dashboard.figures.theme import Theme, bar_marker, new_figure, palette, translucent

_COLUMNS = ["layer", "changed units", "units", "share", "lowest draw", "highest draw"]
_PALE: Final = 0.4
_SIDES: Final = (("clean", "clean"), ("adversarial", "attacked"))

Entries = Sequence[Mapping[str, Any]]


def repair_bars(transplant: Entries, theme: Theme = "light") -> go.Figure:
    """Share of the misled images that clean activations at some units repair: those of the route, and others.

    Args:
        transplant: of each entry `layer`, or `layers` where those up to the last one named were changed together,
            `route` in [0, 1], `control` (a share for each draw), `units` and `control_units`; None is missing.
        theme: `"light"` or `"dark"`.
    """
    figure, names = _figure(transplant, "misled images<br>repaired", "whose units get their clean values", theme)
    control = _spread([entry["control"] for entry in transplant])
    route = numbers([entry["route"] for entry in transplant])
    figure.add_trace(_route(names, transplant, route, "route", bar_marker("adversarial", theme)))
    figure.add_trace(_control(names, transplant, control, "control (other units)", bar_marker("muted", theme), theme))
    return figure


def deactivation_bars(deactivation: Entries, theme: Theme = "light") -> go.Figure:
    """Accuracy left on clean and on attacked images where a layer's route units, or others, are put out.

    Args:
        deactivation: of each layer `layer`, `units`, `control_units`, and for `clean` and `adversarial` each `route` in
            [0, 1] and `control` (a share for each draw); None is missing.
        theme: `"light"` or `"dark"`.
    """
    figure, names = _figure(deactivation, "images classified<br>correctly", "whose units are set to 0", theme)
    for side, label in _SIDES:
        found = [entry[side] for entry in deactivation]
        control = _spread([one["control"] for one in found])
        route = numbers([one["route"] for one in found])
        marker = bar_marker(side, theme)
        pale = {"color": translucent(palette(theme)[side], _PALE), "line": {"color": palette(theme)[side], "width": 1}}
        figure.add_trace(_route(names, deactivation, route, label, marker))
        figure.add_trace(_control(names, deactivation, control, f"{label}, control", pale, theme))
    return figure


def _figure(entries: Entries, title: str, change: str, theme: Theme) -> tuple[go.Figure, list[str]]:
    """The frame, and the label of each entry's layer."""
    layers = [_layer(entry) for entry in entries]
    is_cumulative = any("layers" in entry for entry in entries)
    figure = new_figure(theme, barmode="group", bargap=0.3, bargroupgap=0.06, showlegend=bool(layers))
    axis = f"{'last of the layers' if is_cumulative else 'layer'} {change}"
    figure.update_xaxes(showgrid=False, title_text=axis, **layer_ticks(layers))
    figure.update_yaxes(title_text=title, tickformat=".0%", range=[0, 1.03])
    figure.update_layout(legend=WIDE_KEY)
    return figure, unique_labels(layers)


def _spread(controls: Sequence[Sequence[float | None]]) -> Spread:
    """Over the draws of each entry; every one has as many."""
    return spread([list(draw) for draw in zip(*controls, strict=True)], len(controls))


def _layer(entry: Mapping[str, Any]) -> str:
    return str(entry["layers"][-1] if "layers" in entry else entry["layer"])


def _route(names: list[str], entries: Entries, values: np.ndarray, name: str, marker: Mapping[str, Any]) -> go.Bar:
    rows = [
        [_layer(entry), "route", entry["units"], value, None, None]
        for entry, value in zip(entries, values.tolist(), strict=True)
    ]
    hover = "%{x}: %{y:.1%}<br>%{customdata[2]:,} units of the route<extra>%{fullData.name}</extra>"
    return _bars(names, values, rows, name, marker, hover)


def _control(
    names: list[str], entries: Entries, control: Spread, name: str, marker: Mapping[str, Any], theme: Theme
) -> go.Bar:
    """The mean of the draws, with a line from the lowest to the highest."""
    ends = zip(entries, control.mean.tolist(), control.low.tolist(), control.high.tolist(), strict=True)
    rows = [[_layer(entry), "control", entry["control_units"], *row] for entry, *row in ends]
    error = {"array": control.high - control.mean, "arrayminus": control.mean - control.low, "symmetric": False}
    hover = (
        f"%{{x}}: %{{y:.1%}}, the mean of {control.draws} draws<br>%{{customdata[4]:.1%}} to %{{customdata[5]:.1%}}<br>"
        "%{customdata[2]:,} other units each<extra>%{fullData.name}</extra>"
    )
    bars = _bars(names, control.mean, rows, name, marker, hover)
    return bars.update(error_y=error | {"thickness": 1.5, "width": 3, "color": palette(theme)["ink"]})


def _bars(
    names: list[str], values: np.ndarray, rows: list[list[Any]], name: str, marker: Mapping[str, Any], hover: str
) -> go.Bar:
    meta = {"columns": _COLUMNS}
    return go.Bar(name=name, x=names, y=values, marker=marker, customdata=rows, meta=meta, hovertemplate=hover)
