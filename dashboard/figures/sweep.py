"""How the AUC of a detector depends on what it is given."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from dashboard.figures.labels import plain, shorten, unique_labels
from dashboard.figures.theme import Theme, bar_marker, new_figure, palette, sequence_style, translucent

#: What is varied in a sweep, in words.
AXES: Final[Mapping[str, str]] = {
    "theta": "θ (share of a neuron’s value to explain)",
    "training-size": "images fitted on",
    "attacks-seen": "attacks seen",
    "last-layers": "layers, counted from the end",
    "parts": "part of the path",
}
_COLUMNS = ["attack", "value", "auc", "low", "high", "seen"]
_NAME_LENGTH = 28
_PART_MARKERS = ("accent", "muted")
_FEW = 3  # lines whose bands may be strong; the bands of more would hide each other

Points = Sequence[Mapping[str, Any]]


def sweep_curves(kind: str, points: Points, theme: Theme = "light") -> go.Figure:
    """AUC against the value that is varied: a line with its 95 % band for each attack; bars where parts are compared.

    Args:
        kind: a key of `AXES`.
        points: `value`, `attack`, `auc`, `low`, `high` and `is_seen` each; None is missing. In a sweep over the attacks
            seen, a marker is filled where the detector was fitted on the attack and open where not.
        theme: `"light"` or `"dark"`.

    Raises:
        ValueError: for another kind.
    """
    if kind not in AXES:
        raise ValueError(f"Expected the kind to be one of {', '.join(AXES)}, got {kind!r}.")
    figure = new_figure(theme)
    attacks = _grouped(points)
    if kind == "parts":
        _add_bars(figure, attacks, theme)
    else:
        _add_lines(figure, attacks, kind == "attacks-seen", theme)
        figure.update_xaxes(title_text=AXES[kind], **_ticks(kind, points))
    _limit(figure, points, "x" if kind == "parts" else "y", theme)
    return figure


def _limit(figure: go.Figure, points: Points, axis: str, theme: Theme) -> None:
    """The axis of the AUC, with a line at chance where that is inside."""
    floor = _floor([_number(point[name]) for point in points for name in ("auc", "low")])
    if axis == "x":
        floor = min(floor, 0.5)  # bars are compared by their length, which begins at chance
    title = "AUC (0.5 is chance)" if floor <= 0.5 else "AUC"
    settings = {"title_text": title, "range": [floor, 1 + 0.02 * (1 - floor)], "zeroline": False}
    line = {"line": {"color": palette(theme)["muted"], "width": 1, "dash": "dot"}, "layer": "below"}
    if axis == "x":
        figure.update_xaxes(**settings)
        chance = figure.add_vline
    else:
        figure.update_yaxes(**settings)
        chance = figure.add_hline
    if floor < 0.5:
        chance(0.5, **line)


def _grouped(points: Points) -> dict[str, list[Mapping[str, Any]]]:
    """The points of each attack, in their order."""
    attacks: dict[str, list[Mapping[str, Any]]] = {}
    for point in points:
        attacks.setdefault(point["attack"], []).append(point)
    return attacks


def _add_lines(figure: go.Figure, attacks: Mapping[str, Points], shows_seen: bool, theme: Theme) -> None:
    strength = 0.18 if len(attacks) <= _FEW else 0.08
    for place, (attack, points) in enumerate(attacks.items()):
        color, _, _ = sequence_style(place, theme)
        figure.add_trace(_band(attack, points, translucent(color, strength)))
    for place, (attack, points) in enumerate(attacks.items()):
        figure.add_trace(_line(attack, points, place, shows_seen, theme))
    if shows_seen:
        for place, attack in enumerate(attacks):
            figure.add_trace(_key(attack, place, theme))
        for name, symbol, edge in (("filled: seen", "circle", 0), ("open: not seen", "circle-open", 2)):
            marker = {"symbol": symbol, "size": 9, "color": palette(theme)["muted"], "line": {"width": edge}}
            nowhere = {"x": [None], "y": [None], "mode": "markers", "hoverinfo": "skip"}
            figure.add_trace(go.Scatter(name=name, marker=marker, **nowhere))


def _key(attack: str, place: int, theme: Theme) -> go.Scatter:
    """The key of a line some of whose markers are open; its own key would show whichever comes first."""
    color, symbol, dash = sequence_style(place, theme)
    look = {"line": {"color": color, "dash": dash, "width": 2}, "marker": {"color": color, "symbol": symbol, "size": 9}}
    group = {"legendgroup": plain(attack), "mode": "lines+markers", "hoverinfo": "skip"}
    return go.Scatter(name=shorten(attack, _NAME_LENGTH), x=[None], y=[None], **look, **group)


def _band(attack: str, points: Points, color: str) -> go.Scatter:
    ends = [(p["value"], _number(p["low"]), _number(p["high"])) for p in points]
    known = [(value, low, high) for value, low, high in ends if np.isfinite([low, high]).all()]
    return go.Scatter(
        name=f"{shorten(attack, _NAME_LENGTH)}, 95% band",
        x=[value for value, _, _ in known] + [value for value, _, _ in reversed(known)],
        y=[low for _, low, _ in known] + [high for _, _, high in reversed(known)],
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=color,
        legendgroup=plain(attack),
        showlegend=False,
        hoverinfo="skip",
    )


def _line(attack: str, points: Points, place: int, shows_seen: bool, theme: Theme) -> go.Scatter:
    color, symbol, dash = sequence_style(place, theme)
    is_open = [shows_seen and not point.get("is_seen", True) for point in points]
    return go.Scatter(
        name=shorten(attack, _NAME_LENGTH),
        x=[point["value"] for point in points],
        y=[_number(point["auc"]) for point in points],
        mode="lines+markers",
        line={"color": color, "dash": dash, "width": 2},
        marker={"color": color, "size": 9, "line": {"width": [2 if hollow else 0 for hollow in is_open]}}
        | {"symbol": [f"{symbol}-open" if hollow else symbol for hollow in is_open]},
        legendgroup=plain(attack),
        showlegend=not shows_seen,
        customdata=_rows(points),
        meta={"columns": _COLUMNS},
        hovertemplate="%{x}: AUC %{y:.3f} (%{customdata[3]:.3f} to %{customdata[4]:.3f})"
        "<extra>%{fullData.name}</extra>",
    )


def _add_bars(figure: go.Figure, attacks: Mapping[str, Points], theme: Theme) -> None:
    """A group of bars an attack, a bar a part, with its interval."""
    parts = list(dict.fromkeys(str(point["value"]) for points in attacks.values() for point in points))
    labels = dict(zip(attacks, unique_labels(list(attacks)), strict=True))
    for place, part in enumerate(parts):
        points = [point for found in attacks.values() for point in found if str(point["value"]) == part]
        heights = np.array([_number(point["auc"]) for point in points])
        above, below = (np.array([_number(point[end]) for point in points]) - heights for end in ("high", "low"))
        error = {"array": above, "arrayminus": -below, "symmetric": False, "thickness": 1.5, "width": 4}
        bars = go.Bar(
            name=plain(part),
            orientation="h",
            x=heights,
            y=[labels[point["attack"]] for point in points],
            marker=bar_marker(_PART_MARKERS[place % 2], theme),
            error_x=error | {"color": palette(theme)["ink"]},
            customdata=_rows(points),
            meta={"columns": _COLUMNS},
            hovertemplate="%{y}: AUC %{x:.3f} (%{customdata[3]:.3f} to %{customdata[4]:.3f})"
            "<extra>%{fullData.name}</extra>",
        )
        figure.add_trace(bars)
    figure.update_layout(barmode="group", bargap=0.3, bargroupgap=0.06, showlegend=bool(parts))
    figure.update_layout(legend={"traceorder": "normal"})
    ticks = {"tickvals": list(labels.values()), "ticktext": [shorten(attack, 20) for attack in labels]}
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, **ticks)


def _rows(points: Points) -> list[list[Any]]:
    return [
        [point["attack"], point["value"], point["auc"], point["low"], point["high"], _yes_or_no(point.get("is_seen"))]
        for point in points
    ]


def _yes_or_no(is_seen: bool | None) -> str:
    return "" if is_seen is None else "yes" if is_seen else "no"


def _ticks(kind: str, points: Points) -> dict[str, Any]:
    """A tick at each value; the number of images on a logarithmic axis."""
    values = sorted({point["value"] for point in points})
    ticks = {"tickvals": values, "ticktext": [f"{value:,g}" for value in values], "zeroline": False}
    if kind == "training-size":
        return ticks | {"type": "log", "autotickangles": [0, -45, -90]}
    return ticks | {"type": "linear"}


def _number(value: Any) -> float:
    return np.nan if value is None else float(value)


def _floor(values: Sequence[float]) -> float:
    """Where the axis begins: a round tenth below all values, from 0 to 0.9."""
    lowest = min((value for value in values if np.isfinite(value)), default=0.51)
    return float(np.clip(np.floor((lowest - 0.01) * 10) / 10, 0.0, 0.9))
