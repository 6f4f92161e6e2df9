"""What every page about a selection has in common: its stores, its heading, field errors, the wait for class paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import dash_bootstrap_components as dbc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html

from dashboard.components.background import background_state
from dashboard.components.controls import field_errors
from dashboard.components.figure_card import Card
from dashboard.components.help import help_panel, register_help
from dashboard.frame import SHOWN
from dashboard.selection import Parsed, query_fields
from dashboard.services import Services

POLL_MS = 700


@dataclass(frozen=True, slots=True)
class Shell:
    """The common parts of a page.

    Attributes:
        name: prefix of the page's ids.
        title: heading.
        help: headed paragraphs: what the page shows, its formulas and the paper.
        marked: the ids of controls that are marked when their field of the URL is wrong, by field.
        waiting: cards that wait for class paths and show how far these are; without any the page asks for none.
        has_model: whether a model is chosen on the page.
    """

    name: str
    title: str
    help: list[tuple[str, str]]
    marked: Mapping[str, str]
    waiting: tuple[Card, ...] = ()
    has_model: bool = True

    def part(self, name: str) -> str:
        """The id of a part: selection, facts, errors, model, model-sent, help, help-open, paths, poll."""
        return f"{self.name}-{name}"

    def stores(self, query: Mapping[str, object], facts: Mapping[str, object]) -> list[object]:
        """What the page remembers: its query string, and what the browser's part of its controls needs to know."""
        search = "?" + urlencode(dict(query), doseq=True) if query else ""
        stores: list[object] = [
            dcc.Store(id=self.part("selection"), data=search),
            dcc.Store(id=self.part("facts"), data=facts),
        ]
        if self.has_model:
            stores.append(dcc.Store(id=self.part("model-sent")))
        if self.waiting:
            stores += [dcc.Store(id=self.part("paths")), dcc.Interval(id=self.part("poll"), interval=POLL_MS)]
        return stores

    def head(self, services: Services, parsed: Parsed, query: Mapping[str, object]) -> list[object]:
        """The heading with its help, and below it what is wrong with the fields or the model."""
        panel = help_panel(self.part("help"), self.part("help-open"), self.title, self.help)
        return [
            html.H1([self.title, panel], className="page-title"),
            html.Div(field_errors(parsed.errors, query), id=self.part("errors"), role="status"),
            _warning(services, parsed),
        ]

    def register(self, app: Dash, services: Services) -> None:
        """Registers the callbacks of these parts."""
        register_help(app, self.part("help"), self.part("help-open"))
        self._register_errors(app, services)
        if self.waiting:
            self._register_background(app, services)
        selection = Input(self.part("selection"), "data")
        shown = Output(SHOWN, "data", allow_duplicate=True)
        tie(app, "shown", shown, selection, initial="initial_duplicate")
        if self.has_model:
            sent, model = Output(self.part("model-sent"), "data"), Input(self.part("model"), "value")
            tie(app, "model", sent, model, *self.known())

    def known(self) -> tuple[State, State]:
        """What the browser's scripts take last: the facts and the page's present query string."""
        return State(self.part("facts"), "data"), State(self.part("selection"), "data")

    def _register_errors(self, app: Dash, services: Services) -> None:
        @app.callback(
            Output(self.part("errors"), "children"),
            *[Output(control, "invalid") for control in self.marked.values()],
            Input(self.part("selection"), "data"),
        )
        def show_errors(search: str) -> tuple[object, ...]:
            errors = services.parse(search).errors
            return field_errors(errors, query_fields(search)), *[name in errors for name in self.marked]

    def _register_background(self, app: Dash, services: Services) -> None:
        @app.callback(
            Output(self.part("paths"), "data"),
            Output(self.part("poll"), "disabled"),
            *[Output(card.part("progress"), "children") for card in self.waiting],
            Input(self.part("poll"), "n_intervals"),
            Input(self.part("selection"), "data"),
            State(self.part("paths"), "data"),
        )
        def follow_background(_ticks: int | None, search: str, known: str | None) -> tuple[object, ...]:
            state = background_state(services, search, known)
            return state.token, state.finished, *[state.note] * len(self.waiting)


def _warning(services: Services, parsed: Parsed) -> object:
    """What is wrong with the model itself, weights that are not numbers for example; it can be shown but not used."""
    warning = services.choices.get(parsed.values["model"]).classifier.warning if "model" in parsed.values else ""
    return dbc.Alert(warning, color="danger") if warning else None


def tie(app: Dash, function: str, *parts: object, initial: bool | str = True) -> None:
    """Ties controls together in the browser, by a function of assets/detour/selection.js."""
    app.clientside_callback(ClientsideFunction("selection", function), *parts, prevent_initial_call=initial)
