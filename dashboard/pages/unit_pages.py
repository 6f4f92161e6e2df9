"""What the pages that study units share: their stores, the form's fields, and how a study is asked for and followed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dash_bootstrap_components as dbc
from dash import ALL, Dash, Input, Output, State, dcc, html
from dash.exceptions import PreventUpdate

from dashboard.components.controls import setting_field, shown_value
from dashboard.components.icons import icon
from dashboard.components.job_tray import JOBS_ASKED, JOBS_TICK
from dashboard.pages.attack_form import AttackForm
from dashboard.pages.following import earlier, news
from dashboard.pages.shell import Shell, tie
from dashboard.pages.submitting import submitted
from dashboard.selection import SETTING, Parsed, Selection, picked_text
from dashboard.services import Services
from dashboard.services.jobs.job import Job
from dashboard.services.jobs.unit_settings import PAGES, link
from dashboard.services.unit_studies import UnitStudies
from dashboard.studies.fields import plain_text
from engine.registry import Parameter

_ATTACK_FIELDS = ("attack", "epsilon", "seed", "target")


@dataclass(frozen=True, slots=True)
class UnitPage:
    """What is fixed about a page that studies units.

    Attributes:
        kind: of its jobs; also the field of the URL that names one, and the prefix of the page's ids.
        shell: what every page has.
        attack: the controls of its attack.
        settings: what its form asks for, besides lists of its own.
        looks: fields of the URL whose controls choose what of an outcome is looked at.
        studies: where its studies are.
        order: what can be ticked in each list of the form, by its field, in the order in which a study takes it.
    """

    kind: str
    shell: Shell
    attack: AttackForm
    settings: tuple[Parameter, ...]
    looks: tuple[str, ...]
    studies: Callable[[Services], UnitStudies]
    order: Callable[[Services, Parsed], Mapping[str, Sequence[str]]] = lambda _services, _parsed: {}

    def part(self, name: str) -> str:
        """The id of a part: form, ask, note, submitted, earlier, status, followed, outcome, results, shown-look."""
        return f"{self.kind}-{name}"

    def field(self, name: str) -> dict[str, Any]:
        """The id of a control of the form, by its field of the URL; ALL for all together."""
        return {"type": self.part("field"), "name": name}

    def look(self, name: str) -> dict[str, Any]:
        """The id of a control that chooses what is looked at, by its field of the URL; ALL for all together."""
        return {"type": self.part("look"), "name": name}

    @property
    def form_fields(self) -> tuple[str, ...]:
        """The fields of the URL that its form sets."""
        return PAGES[self.kind][2]

    def stores(self, services: Services, parsed: Parsed, query: Mapping[str, object]) -> list[object]:
        """What the page remembers."""
        names = ("submitted", "followed", "outcome", "shown-look")
        stores = [dcc.Store(id=self.part(name)) for name in names]
        return [*self.shell.stores(query, self._facts(services, parsed)), *self.attack.stores(), *stores]

    def fields(self, parsed: Parsed) -> html.Div:
        """The controls of the form's settings."""
        form, errors = parsed.values["unit_form"], parsed.errors
        controls = [
            setting_field(
                self.field(parameter.name),
                parameter,
                None if parameter.name in errors else getattr(form, parameter.name),
                errors.get(parameter.name),
            )
            for parameter in self.settings
        ]
        return html.Div(controls, className="settings-form mt-2")

    def form(self, parsed: Parsed, title: str, contents: Sequence[object]) -> html.Details:
        """Everything a study takes; folded once there is an outcome to look at."""
        return html.Details(
            [html.Summary(title), *contents],
            id=self.part("form"),
            className="more mt-2",
            open=self.kind not in parsed.values or bool(set(parsed.errors) & set(self.form_fields)),
        )

    def button(self, text: str) -> html.Div:
        """The button that starts a study, what is said about it, and links to earlier ones."""
        button = html.Button(
            [icon("bi-play-fill", "me-1"), text],
            id=self.part("ask"),
            n_clicks=0,
            type="button",
            className="btn btn-primary",
        )
        note = html.Span(id=self.part("note"), className="small", role="status")
        row = html.Div([button, note], className="d-flex flex-wrap gap-3 align-items-center mt-3")
        return html.Div([row, html.Div(id=self.part("earlier"), className="small mt-2")])

    def outcome(self, contents: Sequence[object]) -> list[html.Div]:
        """How far the study is, and what is shown once it is finished."""
        status = html.Div(id=self.part("status"), role="status")
        return [status, html.Div(list(contents), id=self.part("results"), hidden=True)]

    def outcome_inputs(self) -> list[Input]:
        """What every callback about an outcome takes first: the query string, and a token that changes with it."""
        return [Input(self.shell.part("selection"), "data"), Input(self.part("outcome"), "data")]

    def register(self, app: Dash, services: Services) -> None:
        """Registers the callbacks of all this."""
        self.shell.register(app, services)
        self.attack.register(app, self.shell)
        self._tie(app)
        _register_submit(app, services, self)
        _register_following(app, services, self)
        _register_earlier(app, services, self)

    def _tie(self, app: Dash) -> None:
        tie(
            app,
            "units",
            Output(self.shell.part("selection"), "data"),
            *[Input(self.attack.part(name), "value") for name in ("epsilon", "seed", "target")],
            Input(self.attack.setting, "value"),
            Input(self.field(ALL), "value"),
            Input(self.look(ALL), "value"),
            Input(self.part("submitted"), "data"),
            State(self.attack.setting, "id"),
            State(self.field(ALL), "id"),
            State(self.look(ALL), "id"),
            State(self.part("shown-look"), "data"),
            *self.shell.known(),
        )

    def _facts(self, services: Services, parsed: Parsed) -> dict[str, Any]:
        """What the browser's part of the controls needs to know."""
        form = parsed.values["unit_form"]
        own = {name: plain_text(getattr(form, name)) for name in self.form_fields}
        own |= {name: look_text(name, parsed.values.get(name)) for name in self.looks}
        return {
            **self.attack.facts(services, parsed),
            "model": parsed.values.get("model"),
            "datasets": services.choices.datasets(),
            "wrong": list(parsed.errors),
            "rendered": self.attack.rendered(services, parsed)
            | own
            | {name: "" for name in parsed.errors if name in own},
            "order": {name: list(known) for name, known in self.order(services, parsed).items()},
            "submitted": self.part("submitted"),
            "job": self.kind,
        }

    def wrong(self, parsed: Parsed) -> list[str]:
        """What keeps a study from being asked for, a sentence each; what other pages choose does not."""
        asked = ("link", "model", *_ATTACK_FIELDS, *self.form_fields)
        return [text for name, text in parsed.errors.items() if name in asked or name.startswith(SETTING)]


def element_id(identity: Mapping[str, Any]) -> str:
    """The id that a control with several parts has in the browser, for its label."""
    return json.dumps(identity, sort_keys=True, separators=(",", ":"))


def look_text(name: str, value: Any) -> str:
    """A value as its control holds it, and as the URL has it."""
    if name == "picked":
        return picked_text(value or ())
    return ":".join(map(str, value)) if isinstance(value, tuple) else shown_value(value)


def words_card(name: str, title: str, look_for: str, span: str = "span-6 wide") -> html.Section:
    """A card without a figure; its words go where its id is."""
    heading = f"{name}-title"
    return html.Section(
        [
            html.H2(title, id=heading),
            html.P(look_for, className="look-for"),
            html.Div(id=name, className="table-responsive", tabIndex=0),
        ],
        className=f"figure-card {span}",
        **{"aria-labelledby": heading},
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> html.Table:
    """Words and numbers; the first cell of a row names it."""
    body = [html.Tr([html.Th(row[0], scope="row"), *[html.Td(cell) for cell in row[1:]]]) for row in rows]
    head = html.Thead(html.Tr([html.Th(text, scope="col") for text in heads]))
    return dbc.Table([head, html.Tbody(body)], size="sm", class_name="mb-1 figures-table")


def _register_submit(app: Dash, services: Services, page: UnitPage) -> None:
    @app.callback(
        Output(page.part("submitted"), "data"),
        Output(JOBS_ASKED, "data", allow_duplicate=True),
        Output(page.part("note"), "children"),
        Output(page.part("form"), "open"),
        Input(page.part("ask"), "n_clicks"),
        State(page.shell.part("selection"), "data"),
        prevent_initial_call=True,
    )
    def submit(clicks: int | None, search: str) -> tuple[object, ...]:
        if not clicks:
            raise PreventUpdate
        parsed = services.parse(search)
        return submitted(
            clicks,
            page.wrong(parsed),
            # What is wrong about another page's choices does not matter here.
            lambda: page.studies(services).submit(Selection(**{"image": "", **parsed.values})),
            "This very study was made before; here is its outcome.",
        )


def _register_following(app: Dash, services: Services, page: UnitPage) -> None:
    @app.callback(
        Output(page.part("status"), "children"),
        Output(page.part("outcome"), "data"),
        Output(page.part("results"), "hidden"),
        Output(page.part("followed"), "data"),
        Input(JOBS_TICK, "data"),
        Input(page.shell.part("selection"), "data"),
        State(page.part("followed"), "data"),
    )
    def follow(_tick: object, search: str, followed: str | None) -> tuple[object, ...]:
        return news(page.studies(services), services.parse(search), followed)


def _register_earlier(app: Dash, services: Services, page: UnitPage) -> None:
    @app.callback(Output(page.part("earlier"), "children"), *page.outcome_inputs())
    def tell(search: str, _outcome: str | None) -> object:
        values = services.parse(search).values
        if "model" not in values:
            return None
        return earlier(page.studies(services).finished(values["model"]), values.get(page.kind), _title, link)


def _title(job: Job) -> str:
    summary = job.summary or {}
    strength = job.settings.get("attack_settings", {}).get("epsilon")
    at = f", ε = {strength:g}" if isinstance(strength, float) else ""
    misled = f", {summary['misled']:.0%} misled" if isinstance(summary.get("misled"), float) else ""
    return f"{job.label}{at}, {summary.get('images', job.settings.get('pairs'))} images{misled}"
