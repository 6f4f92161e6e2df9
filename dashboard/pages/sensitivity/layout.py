"""The layout of the Sensitivity page for the values in the URL."""

from __future__ import annotations

from collections.abc import Mapping

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard.components.controls import choice_field
from dashboard.components.figure_card import Card, figure_card
from dashboard.components.icons import icon
from dashboard.components.retry import retry_clock
from dashboard.pages.sensitivity import cards, ids
from dashboard.pages.sensitivity.form import sentence, study_form
from dashboard.pages.sensitivity.page import PAGE, SHELL
from dashboard.pages.unit_pages import element_id, look_text, words_card
from dashboard.selection import Parsed
from dashboard.services import Services

# What damping looks at: the chosen layer or all of them.
ONE_LAYER, ALL_LAYERS = "one", "all"
# The unit that is looked at until one is chosen; assets/detour/selection.js knows its value too.
NONE, MOST = "none", "its most sensitive unit"


def build(services: Services, query: Mapping[str, object]) -> html.Div:
    """The page for the given fields of the URL; a field that is wrong shows its error and no value."""
    parsed = services.parse_fields(query)
    panel = [sentence(services, parsed), study_form(services, parsed), PAGE.button("Measure units")]
    return html.Div(
        [
            *PAGE.stores(services, parsed, query),
            dcc.Download(id=ids.REPORT_FILE),
            retry_clock(ids.REGION_NOTE),
            *SHELL.head(services, parsed, query),
            html.Div(panel, className="panel"),
            *PAGE.outcome([_answer(parsed), _cards()]),
        ]
    )


def _answer(parsed: Parsed) -> html.Section:
    report = html.Button(
        [icon("bi-download", "me-1"), "Report as JSON"],
        id=ids.REPORT_JSON,
        n_clicks=0,
        type="button",
        className="btn btn-sm btn-outline-primary ms-md-auto",
    )
    looks = html.Span(
        ["Look closely at ", _look(parsed, "layer", "Layer"), " and at ", _look(parsed, "unit", "Unit", {NONE: MOST})],
        className="sentence",
    )
    return html.Section(
        [
            html.H2("Answer", className="visually-hidden"),
            html.Div(id=ids.SUMMARY, className="verdict", **{"aria-live": "polite"}),
            html.Div([looks, report], className="d-flex flex-wrap gap-2 align-items-center mt-1 mb-1"),
            html.Div(id=ids.LAYER_ANSWER, **{"aria-live": "polite"}),
        ],
        className="panel mt-3",
    )


def _look(parsed: Parsed, name: str, label: str, unsaid: Mapping[str, str] | None = None) -> html.Span:
    """A list whose options come with the outcome; until then it holds what the URL says."""
    value, identity = look_text(name, parsed.values.get(name)), PAGE.look(name)
    known = {value: value} if value else dict(unsaid or {})
    options = [{"value": one, "label": text} for one, text in known.items()]
    control = dbc.Select(id=identity, options=options, value=next(iter(known), None))
    return html.Span(
        [html.Label(label, htmlFor=element_id(identity), className="visually-hidden"), control], className="blank"
    )


def _cards() -> html.Div:
    damped = {ONE_LAYER: "units of the chosen layer", ALL_LAYERS: "units of all layers at once"}
    return html.Div(
        [
            _noted(cards.UNITS, ids.UNITS_NOTE),
            _noted(cards.RATIOS, ids.RATIOS_NOTE),
            _noted(cards.REGION, ids.REGION_NOTE),
            _noted(cards.LEAST, ids.LEAST_NOTE),
            figure_card(
                cards.SUPPRESSION,
                controls=html.Div(
                    choice_field(ids.DAMPED, "What is damped", damped, ONE_LAYER), className="card-controls"
                ),
                span="span-6 wide",
            ),
            figure_card(cards.STRENGTH, span="span-6 wide"),
            figure_card(
                cards.IMPORTANCE,
                controls=html.Div(
                    choice_field(ids.CLASS, "Class the attack led to", {}, None), className="card-controls"
                ),
                span="span-6 wide",
            ),
            figure_card(cards.AGREEMENT, span="span-6 wide"),
            words_card(
                ids.LAYERS,
                "All layers in words",
                "Sensitivity compares the units of one layer; the ratio compares layers.",
                "span-12",
            ),
        ],
        className="cards",
    )


def _noted(card: Card, note: str) -> html.Section:
    return figure_card(card, footer=html.Div(id=note, className="small text-body-secondary"), span="span-6 wide")
