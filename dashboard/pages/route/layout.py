"""The layout of the Route page for the values in the URL."""

from __future__ import annotations

from collections.abc import Mapping

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard.components.controls import choice_field, number_field, shown_value
from dashboard.components.figure_card import figure_card
from dashboard.components.icons import icon, icon_button
from dashboard.components.retry import retry_clock
from dashboard.pages.route import cards, ids
from dashboard.pages.route.page import ATTACK, PAGE, SHELL
from dashboard.pages.route.view import WHOLE
from dashboard.pages.unit_pages import look_text, words_card
from dashboard.selection import FACTOR, Parsed
from dashboard.services import Services

ACTS = {"transplant": "take the clean values", "deactivate": "switch off", "weaken": "weaken their connections"}
FILLS = {
    "image": ("Route of this image", "Chooses the units on the route of this image; then the layers can be changed."),
    "model": ("Route of the model", "Chooses the units on the route of the model; a study finds it."),
    "control": ("Random control", "Chooses as many units that are on no route; each click draws others."),
    "none": ("Clear", "Chooses no unit."),
}


def build(services: Services, query: Mapping[str, object]) -> html.Div:
    """The page for the given fields of the URL; a field that is wrong shows its error and no value."""
    parsed = services.parse_fields(query)
    model = parsed.values.get("model")
    forms = html.Div(
        [ATTACK.settings(services, parsed), PAGE.form(parsed, "Settings of the study", [PAGE.fields(parsed)])],
        className="route-forms",
    )
    return html.Div(
        [
            *PAGE.stores(services, parsed, query),
            dcc.Store(id=ids.IMAGES, data={"images": services.choices.image_count(model) if model else 1}),
            dcc.Store(id=ids.ASKED),
            dcc.Download(id=ids.REPORT_FILE),
            *[retry_clock(part) for part in (ids.SAID, ids.CHIPS, ids.LIKENESS, ids.PICK_NOTE)],
            *SHELL.head(services, parsed, query),
            html.Div(
                [_sentence(services, parsed), html.Div([forms, PAGE.button("Find the route")], className="route-ask")],
                className="panel",
            ),
            _answer(),
            _live_cards(parsed),
            *PAGE.outcome([_statements(), _study_cards(parsed)]),
        ]
    )


def _sentence(services: Services, parsed: Parsed) -> html.Div:
    values, errors = parsed.values, parsed.errors
    image = str(values.get("image") or "")
    number = image.removeprefix("test:") if image.startswith("test:") else ""
    return html.Div(
        [
            "Where does ",
            ATTACK.choice(services, parsed),
            ATTACK.strength(services, parsed),
            " travel through ",
            choice_field(
                SHELL.part("model"), "Model", services.choices.labels(), values.get("model"), invalid="model" in errors
            ),
            " on ",
            html.Span("test image", id=ids.WHICH),
            " ",
            html.Span(
                [
                    icon_button(ids.PREVIOUS, "bi-chevron-left", "Previous image", "small-button"),
                    number_field(ids.NUMBER, "Number of the test image", number, invalid="image" in errors, whole=True),
                    icon_button(ids.NEXT, "bi-chevron-right", "Next image", "small-button"),
                    icon_button(ids.RANDOM, "bi-shuffle", "Random image", "small-button"),
                    dbc.Input(id=PAGE.look("image"), type="hidden", value="" if "image" in errors else image),
                    "?",
                ],
                className="blank",
            ),
        ],
        className="sentence",
    )


def _answer() -> html.Section:
    return html.Section(
        [
            html.H2("Answer for this image", className="visually-hidden"),
            html.Div(id=ids.PICTURES, className="route-pictures"),
            html.Div(
                [
                    html.Div(id=ids.SAID, className="verdict", **{"aria-live": "polite"}),
                    html.Div(id=ids.SUMMARY, className="mt-1", **{"aria-live": "polite"}),
                ],
                className="route-words",
            ),
        ],
        className="panel mt-3 route-answer",
    )


def _live_cards(parsed: Parsed) -> html.Div:
    likeness = html.Div(id=ids.LIKENESS, className="small text-body-secondary")
    return html.Div(
        [
            figure_card(cards.MAP, span="span-6 wide"),
            figure_card(cards.LIVE, controls=_experiment(parsed), span="span-6 wide"),
            figure_card(cards.PATHS, footer=likeness, span="span-6 wide"),
            figure_card(cards.CAM, span="span-6 wide"),
        ],
        className="cards",
    )


def _experiment(parsed: Parsed) -> html.Div:
    """Which units, and what is done to them."""
    values, errors = parsed.values, parsed.errors
    buttons = [
        html.Button(
            text,
            id={"type": ids.FILL, "source": source},
            n_clicks=0,
            type="button",
            title=title,
            className="btn btn-sm btn-outline-primary",
        )
        for source, (text, title) in FILLS.items()
    ]
    units = html.Label(
        [
            "Units",
            dbc.Input(
                id=PAGE.look("picked"),
                type="text",
                value="" if "picked" in errors else look_text("picked", values.get("picked")),
                debounce=True,
                autocomplete="off",
                placeholder="none; for example conv1:0.4",
                invalid="picked" in errors,
                size="sm",
            ),
        ],
        className="route-units",
    )
    kinds = dbc.RadioItems(
        id=PAGE.look("act"),
        options=[{"value": name, "label": text} for name, text in ACTS.items()],
        value=values.get("act"),
        class_name="btn-group route-kinds",
        input_class_name="btn-check",
        label_class_name="btn btn-sm btn-outline-secondary",
        label_checked_class_name="active",
    )
    return html.Div(
        [
            html.Div(buttons, className="route-row", role="group", **{"aria-label": "Choose units"}),
            html.Div(id=ids.CHIPS, className="route-row route-chips", role="group", **{"aria-label": "Layers"}),
            units,
            html.Div(id=ids.PICK_NOTE, className="small", role="status"),
            html.Fieldset(
                [html.Legend("What is done to them", className="visually-hidden"), kinds], className="route-row"
            ),
            _factor(parsed),
        ],
        className="route-experiment",
    )


def _factor(parsed: Parsed) -> html.Label:
    """What is left of the units: everything on the left, nothing on the right."""
    value = parsed.values.get("factor", FACTOR.default)
    control = dbc.Input(
        id=PAGE.look("factor"),
        type="range",
        min=FACTOR.low,
        max=FACTOR.high,
        step=0.05,
        value=value,
        debounce=80,
        class_name="form-range",
        style={"direction": "rtl"},
    )
    number = html.Output(shown_value(value), id=ids.KEEPS_NUMBER)
    return html.Label(
        ["Factor, from 1 to 0", control, number], id=ids.KEEPS, hidden=True, className="route-row route-factor"
    )


def _statements() -> html.Section:
    report = html.Button(
        [icon("bi-download", "me-1"), "Report as JSON"],
        id=ids.REPORT_JSON,
        n_clicks=0,
        type="button",
        className="btn btn-sm btn-outline-primary",
    )
    return html.Section(
        [
            html.Div(
                [html.H2("What is said of such routes, and whether it holds for this model", id=ids.STATED), report],
                className="d-flex flex-wrap gap-2 justify-content-between align-items-center mb-1",
            ),
            html.Div(id=ids.STATEMENTS, **{"aria-live": "polite"}),
        ],
        className="panel mt-3",
    )


def _study_cards(parsed: Parsed) -> html.Div:
    named = parsed.values.get("layer") or WHOLE
    weakened = html.Label(
        [
            "Connections",
            dbc.Select(
                id=PAGE.look("layer"),
                options=[{"value": named, "label": "all" if named == WHOLE else named}],
                value=named,
                size="sm",
            ),
        ]
    )
    return html.Div(
        [
            figure_card(cards.SENSITIVITY, span="span-6 wide"),
            figure_card(cards.GRADIENT, span="span-6 wide"),
            figure_card(cards.SINGLE, span="span-6 wide"),
            figure_card(cards.CUMULATIVE, span="span-6 wide"),
            figure_card(cards.DEACTIVATION, span="span-6 wide"),
            figure_card(cards.WEAKENING, controls=html.Div(weakened, className="card-controls"), span="span-6 wide"),
            figure_card(cards.HARDNESS, footer=html.Div(id=ids.HARDEST), span="span-6 wide"),
            words_card(
                ids.TABLE,
                "Layer by layer",
                "Occurrence: on how many images' routes a unit of the model's route is. ×: route units against others.",
            ),
        ],
        className="cards",
    )
