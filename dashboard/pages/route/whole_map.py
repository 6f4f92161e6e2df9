"""The map of the route with what is known of it: the image's route, the model's, and the units of the experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from dashboard.figures.route_map import route_map
from dashboard.figures.theme import Theme, palette
from dashboard.pages.route.view import Report
from dashboard.services.interventions import Units
from engine.network.units import UnitLayer

NO_STUDY = "on top, with rings: the route through this image; “Find the route” adds the model’s"


def whole_map(
    layers: Sequence[UnitLayer], report: Report | None, route: Units, picked: Mapping[str, Sequence[int]], theme: Theme
) -> go.Figure:
    """The map; without a study the units on the image's route are on top.

    Args:
        layers: that the route runs through.
        report: of the study, or None.
        route: units on the route of the image, by layer.
        picked: units of the experiment, by layer.
        theme: `"light"` or `"dark"`.
    """
    instance = {layer: units.tolist() for layer, units in route.items()}
    if report is not None:
        figure = route_map(report["layers"], theme, instance)
    else:
        figure = _without_study(layers, instance, theme)
    figure.add_trace(_squares(figure, picked, theme))  # also without any: the legend and the marks stay in place
    return figure


def _without_study(layers: Sequence[UnitLayer], instance: Mapping[str, Sequence[int]], theme: Theme) -> go.Figure:
    """The units of this image's route on top: how often the others are on one is not known yet."""
    known = [
        {
            "name": one.layer,
            "occurrence": [float(unit in instance[one.layer]) for unit in range(one.units)],
            "chosen": [],
        }
        for one in layers
    ]
    figure = route_map(known, theme, instance)
    hidden = str(figure.layout.xaxis.title.text).partition("<br>")[2].replace("rarer ", "further ")
    figure.update_xaxes(title_text="<br>".join(filter(None, (NO_STUDY, hidden))))
    for trace in figure.data:
        if trace.name == "on the model’s route":
            trace.update(showlegend=False)
        elif trace.hoverinfo != "skip":
            trace.update(name="units", hovertemplate="%{text} unit %{customdata[1]}<extra></extra>")
            trace.customdata = [[layer, unit, None, "", here] for layer, unit, _, _, here in trace.customdata]
    return figure


def _squares(figure: go.Figure, picked: Mapping[str, Sequence[int]], theme: Theme) -> go.Scatter:
    """Around the units of the experiment, where the map draws them."""
    wanted = {(layer, unit) for layer, units in picked.items() for unit in units}
    places = [
        (x, y)
        for trace in figure.data
        if trace.customdata is not None
        for x, y, row in zip(trace.x, trace.y, trace.customdata, strict=True)
        if (row[0], row[1]) in wanted
    ]
    sizes = [trace.marker.size for trace in figure.data if trace.customdata is not None]
    return go.Scatter(
        name="chosen for the experiment",
        x=[x for x, _ in places] or [None],
        y=[y for _, y in places] or [None],
        mode="markers",
        marker={
            "symbol": "square-open",
            "size": (sizes[0] if sizes else 8.0) + 6,
            "color": palette(theme)["accent"],
            "line": {"width": 1.5},
        },
        cliponaxis=False,
        hoverinfo="skip",
    )
