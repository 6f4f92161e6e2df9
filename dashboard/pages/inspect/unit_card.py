"""The card of one unit: its maps, its region of interest, the images it reacts to most, and what flows into it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import dash_bootstrap_components as dbc
import numpy as np
import numpy.typing as npt
from dash import Dash, Input, Output, State, dcc, html, no_update

from dashboard.components.icons import icon_button
from dashboard.components.pictures import heat_pixels, outlined, picture_url
from dashboard.components.retry import ASK_AGAIN, DONE, retry_input, retry_output, working_words
from dashboard.figures.bundles import INPUT, feeding_layer
from dashboard.pages.inspect import cards, ids
from dashboard.pages.shell import tie
from dashboard.selection import Parsed, Selection, SelectionError
from dashboard.services import Services
from dashboard.services.computations import Pending
from dashboard.services.inspection import Inspection, Subject
from dashboard.services.unit_views import UnitMaps
from engine.errors import EngineError
from engine.paths.contributions import Incoming

FLOWS = 6
HOVER_PATIENCE_S = 2.0
GRAPH = cards.GRAPH.part("graph")


@dataclass(frozen=True, slots=True)
class _Flow:
    """What one unit of the layer before adds to the pinned unit, for the clean and for the attacked image."""

    source: str
    synapses: tuple[int, int]
    contributions: tuple[float, float]


def unit_text(parsed: Parsed) -> str | None:
    """The pinned unit as the URL has it."""
    unit = parsed.values.get("unit")
    return f"{unit[0]}:{unit[1]}" if unit else None


def unit_card(is_open: bool) -> html.Section:
    """The empty card; out of sight until a unit is pinned."""
    return html.Section(
        [
            html.Header(
                [
                    html.Div(
                        [
                            html.H2("Unit", id=ids.UNIT_TITLE),
                            html.P("What it reacts to, and what makes it react here.", className="look-for"),
                        ]
                    ),
                    html.Div(icon_button(ids.UNIT_CLOSE, "bi-x-lg", "Unpin the unit"), className="ms-auto"),
                ]
            ),
            html.Div(id=ids.UNIT_BODY, className="unit-body", role="status"),
        ],
        id=ids.UNIT_CARD,
        className="figure-card span-12",
        hidden=not is_open,
        **{"aria-labelledby": ids.UNIT_TITLE},
    )


def unit_hover() -> dcc.Tooltip:
    """What is shown beside a unit of the graph under the pointer."""
    return dcc.Tooltip(id=ids.UNIT_HOVER, direction="bottom", show=False)


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""
    pinned = Output(ids.UNIT, "data")
    clicks = Input(GRAPH, "clickData"), Input(ids.UNIT_CLOSE, "n_clicks")
    tie(app, "unit", pinned, *clicks, State(ids.UNIT, "data"))
    _register_hover(app, services)

    @app.callback(
        Output(ids.UNIT_TITLE, "children"),
        Output(ids.UNIT_BODY, "children"),
        Output(ids.UNIT_CARD, "hidden"),
        retry_output(ids.UNIT_BODY),
        Input(ids.SELECTION, "data"),
        retry_input(ids.UNIT_BODY),
    )
    def show(search: str, _again: int | None) -> tuple[object, object, bool, bool]:
        try:
            selection = services.select(search)
        except SelectionError:
            return no_update, None, True, DONE
        if selection.unit is None:
            return no_update, None, True, DONE
        layer, unit = selection.unit
        title = f"Unit {unit} of {layer}"
        try:
            return title, _body(services, selection, layer, unit), False, DONE
        except Pending as pending:
            return title, working_words(pending), False, ASK_AGAIN
        except EngineError as error:
            return title, dbc.Alert(str(error), color="danger", class_name="m-0"), False, DONE


def _register_hover(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.UNIT_HOVER, "show"),
        Output(ids.UNIT_HOVER, "bbox"),
        Output(ids.UNIT_HOVER, "children"),
        Input(GRAPH, "hoverData"),
        State(ids.SELECTION, "data"),
        prevent_initial_call=True,
    )
    def hover(data: dict | None, search: str) -> tuple[object, object, object]:
        point = data["points"][0] if data else {}
        unit = point.get("customdata") or []
        if len(unit) != cards.NODE_FIELDS or unit[0] == INPUT:
            return False, no_update, no_update
        try:
            selection = services.select(search)
            maps = services.unit_views.maps(selection, str(unit[0]), patience=HOVER_PATIENCE_S)
            return True, point["bbox"], _maps_of(maps, int(unit[1]), small=True)
        except (Pending, EngineError):  # a moment later they are there; the page itself says what is wrong
            return False, no_update, no_update


def _body(services: Services, selection: Selection, layer: str, unit: int) -> html.Div:
    view = services.inspections.inspect(selection)
    regions = services.unit_views.regions(selection, layer, unit)
    maps = services.unit_views.maps(selection, layer)
    both = [(view.clean, "clean"), (view.adversarial, "adversarial")]
    pictures = [_picture(outlined(one.pixels, regions[name]), f"Region of interest, {name}") for one, name in both]
    has_map = maps.clean[unit].size > 1
    threshold = float(services.unit_views.profile(selection.model, layer).thresholds[unit])
    parts = [
        _part("Activation", _maps_of(maps, unit), "Clean, then attacked, on one scale; yellow is strong."),
        _part(
            "Region of interest",
            html.Div(pictures, className="unit-pictures"),
            f"Outlined where it is above {threshold:.3g}, which 99.5 % of its activations on test images are not.",
        )
        if has_map
        else None,
        _part(
            "Reacts most to", _strongest(services, selection, layer, unit, has_map), "Test images; click to inspect."
        ),
        html.Div(
            _part("What flows in along the path", _flows(services, selection, view, layer, unit), None),
            className="unit-flows",
        ),
    ]
    return html.Div([part for part in parts if part is not None], className="unit-parts")


def _part(title: str, content: object, note: str | None) -> html.Div:
    words = html.Div(note, className="small text-body-secondary") if note else None
    return html.Div([html.H3(title, className="h6 mb-1"), content, words])


def _picture(pixels: npt.NDArray[np.floating], text: str) -> html.Img:
    return html.Img(src=picture_url(pixels), alt=text, title=text, className="unit-picture")


def _maps_of(maps: UnitMaps, unit: int, *, small: bool = False) -> html.Div:
    """The maps of a unit for both images; of an element of a linear layer, its two values.

    Raises:
        InvalidInputError: for a unit that the layer does not have.
    """
    maps.require(unit)
    clean, adversarial = maps.clean[unit], maps.adversarial[unit]
    peaks = float(clean.max()), float(adversarial.max())
    if clean.size == 1:
        return html.Div(f"clean {peaks[0]:.3g}, attacked {peaks[1]:.3g}", className="unit-values")
    pictures = [
        html.Figure(
            [
                _picture(heat_pixels(one, max(peaks)), f"Activation, {name}"),
                html.Figcaption(f"{name}, up to {peak:.3g}", className="small"),
            ],
            className="m-0",
        )
        for one, name, peak in zip((clean, adversarial), ("clean", "attacked"), peaks, strict=True)
    ]
    return html.Div(pictures, className=f"unit-pictures{' is-small' if small else ''}")


def _strongest(services: Services, selection: Selection, layer: str, unit: int, has_map: bool) -> html.Div:
    found = services.unit_views.strongest(selection.model, layer, unit)
    links = []
    for index, pixels, region in zip(found.indices.tolist(), found.pixels, found.regions, strict=True):
        shown = _picture(outlined(pixels, region) if has_map else pixels, f"Test image {index}")
        links.append(dcc.Link(shown, href="/" + replace(selection, image=f"test:{index}").to_query()))
    return html.Div(links, className="unit-pictures")


def _flows(services: Services, selection: Selection, view: Inspection, layer: str, unit: int) -> object:
    """The units of the layer before that add most, for either image."""
    found = [_flow_of(services, selection, one, layer, unit) for one in (view.clean, view.adversarial)]
    if not any(len(one.channels) for one, _, _ in found):
        return html.Div("Neither path goes through this unit.", className="small")
    source, elements = found[0][1:]
    sums = [_by_unit(one, elements) for one, _, _ in found]
    flows = []
    for place in sorted({place for one in sums for place in one}):
        synapses, contributions = zip(*(one.get(place, (0, 0.0)) for one in sums), strict=True)
        flows.append(_Flow(f"{source} {place}" if source else f"input {place}", synapses, contributions))
    flows.sort(key=lambda flow: -max(map(abs, flow.contributions)))
    rows = [
        html.Tr(
            [
                html.Th(flow.source, scope="row", className="text-nowrap"),
                *[html.Td(f"{value:.3g}") for value in flow.contributions],
                *[html.Td(f"{count:,}") for count in flow.synapses],
            ]
        )
        for flow in flows[:FLOWS]
    ]
    columns = ("from", "clean adds", "attacked adds", "synapses, clean", "synapses, attacked")
    head = html.Thead(html.Tr([html.Th(text, scope="col") for text in columns]))
    more = f"The strongest {FLOWS} of {len(flows)}. " if len(flows) > FLOWS else ""
    note = f"{more}Sums over the path's synapses of w·x, in the direction of the neurons that they explain."
    table = html.Table([head, html.Tbody(rows)], className="table table-sm mb-1")
    return html.Div([table, html.Div(note, className="small text-body-secondary")], className="table-responsive")


def _flow_of(
    services: Services, selection: Selection, subject: Subject, layer: str, unit: int
) -> tuple[Incoming, str | None, int]:
    """What flows in for one image, the layer it comes from, and how many inputs each of that layer's units became."""
    path = services.inspections.path(selection, subject, selection.rank)
    flow = services.unit_views.incoming(selection, subject, layer, unit)
    return flow, *feeding_layer(path.layers, path.shapes, path.layers.index(layer))


def _by_unit(flow: Incoming, elements: int) -> dict[int, tuple[int, float]]:
    """Synapses and contribution by unit of the layer before."""
    sums: dict[int, tuple[int, float]] = {}
    for channel, count, value in zip(
        flow.channels.tolist(), flow.synapses.tolist(), flow.contributions.tolist(), strict=True
    ):
        before = sums.get(channel // elements, (0, 0.0))
        sums[channel // elements] = before[0] + count, before[1] + value
    return sums
