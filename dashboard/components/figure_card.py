"""A card around a figure: its title, what to look for, its states and its export menu."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dash_bootstrap_components as dbc
import plotly.graph_objects as go
from dash import ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update

from dashboard.components.icons import icon
from dashboard.components.retry import ASK_AGAIN, DONE, retry_clock, retry_input, retry_output, working_words
from dashboard.figures.table import figure_table
from dashboard.figures.theme import GRAPH_CONFIG
from dashboard.selection import SelectionError
from dashboard.services.computations import Pending
from dashboard.services.drawings import Drawings
from engine.errors import EngineError

Draw = Callable[..., go.Figure]


class Waiting(Exception):
    """Raised while what a figure needs is still being computed."""


class Nothing(Exception):
    """Raised when there is nothing to draw; the text says why."""


@dataclass(frozen=True, slots=True)
class Card:
    """What is fixed about a figure card.

    Attributes:
        name: prefix of the ids of its parts; unique in the application.
        title: heading.
        look_for: one sentence that says what to look for.
        method: how it is computed: paragraphs.
        paper: where the method is published.
        height: of the figure, in pixels.
        grows: whether a figure that says how high it has to be is made as high.
    """

    name: str
    title: str
    look_for: str
    method: tuple[str, ...]
    paper: str
    height: int = 300
    grows: bool = False

    def part(self, name: str) -> str:
        """The id of a part: graph, place, message, progress, working, menu, png, svg, html, csv, how, method, file."""
        return f"{self.name}-{name}"


def figure_card(
    card: Card, *, controls: object = None, footer: object = None, over: object = None, span: str = "span-6"
) -> html.Section:
    """The card with an empty figure; :func:`register_card` fills it. ``over`` lies over the figure: a tooltip."""
    graph = dcc.Graph(
        id=card.part("graph"),
        config=GRAPH_CONFIG,
        style={"height": f"{card.height}px"},
        responsive=True,
        clear_on_unhover=True,
    )
    place = html.Div(
        [
            graph,
            html.Div(
                [html.Div(id=card.part("progress")), html.Div(id=card.part("working"), className="small")],
                className="figure-skeleton",
            ),
            html.Div(id=card.part("message"), className="figure-message", role="status"),
            over,
        ],
        id=card.part("place"),
        className="figure-place is-waiting",
        style={"minHeight": f"{card.height}px"},
    )
    heading = html.Div([html.H2(card.title, id=card.part("title")), html.P(card.look_for, className="look-for")])
    parts = [
        html.Header([heading, _menu(card)]),
        controls,
        place,
        footer,
        _method(card),
        dcc.Download(card.part("file")),
        retry_clock(card.part("graph")),
    ]
    return html.Section(
        [part for part in parts if part is not None],
        className=f"figure-card {span}",
        **{"aria-labelledby": card.part("title")},
    )


def _menu(card: Card) -> html.Div:
    names = (("png", "PNG image"), ("svg", "SVG drawing"), ("html", "HTML page"), ("csv", "CSV data"))
    items = [dbc.DropdownMenuItem(text, id=card.part(name), n_clicks=0) for name, text in names]
    items += [dbc.DropdownMenuItem(divider=True), dbc.DropdownMenuItem("How is this computed?", id=card.part("how"))]
    label = [icon("bi-three-dots"), html.Span(f"Menu: {card.title}", className="visually-hidden")]
    menu = dbc.DropdownMenu(
        items,
        label=label,
        size="sm",
        color="link",
        caret=False,
        align_end=True,
        toggle_class_name="text-body-secondary py-0",
    )
    return html.Div(menu, className="ms-auto", id=card.part("menu"))


def _method(card: Card) -> dbc.Modal:
    text = [html.P(paragraph) for paragraph in card.method]
    paper = html.P([html.Strong("Published in: "), card.paper]) if card.paper else None
    return dbc.Modal(
        [
            dbc.ModalHeader(dbc.ModalTitle(card.title, tag="h2", class_name="h5 m-0")),
            dbc.ModalBody([*text, paper]),
        ],
        id=card.part("method"),
        is_open=False,
        scrollable=True,
        labelledby=card.part("title"),
    )


def register_card(app: Dash, drawings: Drawings, card: Card, draw: Draw, inputs: Sequence[Input]) -> None:
    """Registers the callbacks of a card.

    Args:
        app: the application.
        drawings: keeps figures, so that a view that was drawn before is there at once.
        card: the card; it must be in a page's layout.
        draw: makes the figure from the values of ``inputs``. An EngineError is shown in the card; :class:`Waiting`
            and Pending keep the skeleton, and after Pending the card asks again; :class:`Nothing` says why it is empty.
        inputs: what the figure depends on: first the query string, then plain values.
    """

    @app.callback(
        Output(card.part("graph"), "figure"),
        Output(card.part("message"), "children"),
        Output(card.part("place"), "className"),
        Output(card.part("working"), "children"),
        retry_output(card.part("graph")),
        *inputs,
        retry_input(card.part("graph")),
    )
    def update(*values: object) -> tuple[object, object, str, object, bool]:
        try:
            return *_state(lambda: drawings.get(card.name, values[:-1], draw)), None, DONE
        except Pending as pending:
            return no_update, None, "figure-place is-waiting", working_words(pending), ASK_AGAIN

    if card.grows:
        app.clientside_callback(
            ClientsideFunction("figures", "grow"),
            Output(card.part("graph"), "style"),
            Input(card.part("graph"), "figure"),
            State(card.part("graph"), "style"),
            prevent_initial_call=True,
        )
    _register_exports(app, card, draw, [State(one.component_id, one.component_property) for one in inputs])


def _state(figure: Callable[[], object]) -> tuple[object, object, str]:
    """The figure, the message in its place, and the class of that place."""
    try:
        return figure(), None, "figure-place"
    except Waiting:
        return no_update, None, "figure-place is-waiting"
    except Nothing as reason:
        return no_update, dbc.Alert(str(reason), color="secondary"), "figure-place is-empty"
    except SelectionError:
        text = "This figure is drawn once what is wrong in the link, named at the top of the page, is put right."
        return no_update, dbc.Alert(text, color="secondary"), "figure-place is-empty"
    except EngineError as error:
        return no_update, dbc.Alert(str(error), color="danger"), "figure-place is-error"


def _register_exports(app: Dash, card: Card, draw: Draw, states: Sequence[State]) -> None:
    for kind in ("png", "svg"):
        app.clientside_callback(
            ClientsideFunction("figures", kind),
            Output(card.part(kind), "title"),
            Input(card.part(kind), "n_clicks"),
            State(card.part("graph"), "id"),
            prevent_initial_call=True,
        )
    app.clientside_callback(
        ClientsideFunction("figures", "open"),
        Output(card.part("method"), "is_open"),
        Input(card.part("how"), "n_clicks"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output(card.part("file"), "data"),
        Input(card.part("html"), "n_clicks"),
        Input(card.part("csv"), "n_clicks"),
        *states,
        prevent_initial_call=True,
    )
    def export(as_page: int | None, as_table: int | None, *values: object) -> object:
        if not (as_page or as_table):
            return no_update
        try:
            figure = draw(*values)
        except (Waiting, Nothing, Pending, EngineError):
            return no_update  # the card itself says what is missing
        if ctx.triggered_id == card.part("csv"):
            return file_download(f"{card.name}.csv", figure_table(figure).encode(), "text/csv")
        page = figure.to_html(include_plotlyjs=True, config=GRAPH_CONFIG)
        return file_download(f"{card.name}.html", page.encode(), "text/html")


def file_download(name: str, data: bytes, kind: str) -> dict[str, object]:
    """What ``dcc.Download`` takes to save ``data`` under ``name``."""
    return {"filename": name, "content": base64.b64encode(data).decode(), "type": kind, "base64": True}


def progress_note(fraction: float, message: str) -> html.Div:
    """How far the work behind a card is."""
    share = round(100 * fraction)
    return html.Div(
        [
            html.Div(f"Computing class paths, {share} %: {message}", className="small"),
            _bar(share),
        ]
    )


def _bar(share: int) -> html.Div:
    return html.Div(
        html.Div(className="progress-bar", style={"width": f"{share}%"}),
        className="progress",
        role="progressbar",
        **{"aria-label": "Class paths", "aria-valuenow": str(share), "aria-valuemin": "0", "aria-valuemax": "100"},
    )
