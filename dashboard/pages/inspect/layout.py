"""The layout of the Inspect page for the values in the URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard.components.controls import choice_field, field_errors, number_field, setting_field, shown_value, slider
from dashboard.components.figure_card import figure_card
from dashboard.components.help import help_panel
from dashboard.pages.inspect import cards, ids
from dashboard.selection import EDGES, SETTING, UNITS, Parsed
from dashboard.services import Services
from dashboard.settings import MAX_UPLOAD_BYTES

# What the list of targets holds for an untargeted attack; assets/detour/selection.js knows it too.
ANY_CLASS = "any"
# Fields whose controls are on this page.
CONTROLLED = ("image", "epsilon", "seed", "rank", "theta", "target", "pin", "edges", "units")

HELP = [
    (
        "What this page shows",
        "How one image changes inside the network when it is attacked: the images, the answers, and the paths.",
    ),
    (
        "Effective path",
        "From a logit backwards, the fewest synapses that explain the share θ of every active neuron's value. "
        "With c_k = sign(z)·w_k·x_k "
        "and s = Σ c_k, the largest c_k are taken until their sum reaches θ·s; if s ≤ 0, only the largest is.",
    ),
    ("Class path", "The union of the effective paths of all correctly classified training images of a class."),
    (
        "Similarity",
        "Per layer, |S ∩ S̃| / |S|: the share of the image's synapses that lie on the class path of its most "
        "likely (rank 1) or second "
        "most likely class (rank 2).",
    ),
    (
        "When an attack counts",
        "Only on an image that the model classifies correctly; it succeeds when the prediction differs from the "
        "label, or equals the "
        "target. Survives rounding: it still succeeds after saving with 8 bits a channel.",
    ),
    ("Paper", cards.QIU),
]


def build(services: Services, query: Mapping[str, object]) -> html.Div:
    """The page for the given fields of the URL; a field that is wrong shows its error and no value."""
    parsed = services.parse_fields(query)
    facts = _facts(services, parsed)
    return html.Div(
        [
            dcc.Store(id=ids.SELECTION, data=_search(query)),
            dcc.Store(id=ids.FACTS, data=facts),
            dcc.Store(id=ids.IMAGE, data=parsed.values.get("image", "")),
            dcc.Store(id=ids.PIN, data=parsed.values.get("pin")),
            dcc.Store(id=ids.MODEL_SENT),
            dcc.Store(id=ids.ATTACK_SENT),
            dcc.Store(id=ids.UPLOADED),
            dcc.Store(id=ids.PATHS),
            dcc.Interval(id=ids.POLL, interval=700),
            dcc.Download(id=ids.SAVE_FILE),
            html.H1(["Inspect", help_panel(ids.HELP, ids.HELP_OPEN, "Inspect", HELP)], className="page-title"),
            html.Div(_warning(services, parsed), id=ids.WARNING),
            html.Div(field_errors(parsed.errors), id=ids.ERRORS, role="status"),
            html.Div([_sentence(services, parsed), _picker(), _attack_settings(services, parsed)], className="panel"),
            _verdict_panel(),
            _cards(parsed),
        ]
    )


def _search(query: Mapping[str, object]) -> str:
    return "?" + urlencode(dict(query), doseq=True) if query else ""


def _facts(services: Services, parsed: Parsed) -> dict[str, Any]:
    """What the browser's part of the controls needs to know."""
    model, attack = parsed.values.get("model"), parsed.values.get("attack")
    parameters = services.choices.attacks[attack].parameters if attack else ()
    return {
        "model": model,
        "attack": attack,
        "datasets": services.choices.datasets(),
        "images": services.choices.image_count(model) if model else 1,
        "has_epsilon": any(parameter.name == "epsilon" for parameter in parameters),
        "rendered": _rendered(parsed, [parameter.name for parameter in parameters]),
        "defaults": {parameter.name: shown_value(parameter.default) for parameter in parameters},
    }


def _rendered(parsed: Parsed, settings: list[str]) -> dict[str, str]:
    """The text in each control, by field; empty where the URL has a wrong value."""
    rendered = {name: shown_value(parsed.values.get(name)) for name in CONTROLLED}
    wrong = {SETTING + name: "" for name in settings if SETTING + name in parsed.errors}
    return rendered | wrong | {"target": _shown_target(parsed)}


def _shown_target(parsed: Parsed) -> str:
    if "target" in parsed.errors:
        return ""
    return shown_value(parsed.values["target"]) if "target" in parsed.values else ANY_CLASS


def _warning(services: Services, parsed: Parsed) -> object:
    warning = services.choices.get(parsed.values["model"]).classifier.warning if "model" in parsed.values else ""
    return dbc.Alert(warning, color="danger") if warning else None


def _sentence(services: Services, parsed: Parsed) -> html.Div:
    values, errors = parsed.values, parsed.errors
    image = str(values.get("image") or "")
    number = image.removeprefix("test:") if image.startswith("test:") else ""
    ranks = {"1": "most likely", "2": "second most likely"}
    return html.Div(
        [
            "How does ",
            choice_field(ids.MODEL, "Model", services.choices.labels(), values.get("model"), invalid="model" in errors),
            " come to call ",
            html.Span("test image", id=ids.WHICH),
            " ",
            html.Span(
                [
                    _icon_button(ids.PREVIOUS, "bi-chevron-left", "Previous image"),
                    number_field(ids.NUMBER, "Number of the test image", number, invalid="image" in errors, whole=True),
                    _icon_button(ids.NEXT, "bi-chevron-right", "Next image"),
                    _icon_button(ids.RANDOM, "bi-shuffle", "Random image"),
                ],
                className="blank",
            ),
            html.Span(id=ids.LABEL_TEXT),
            " under ",
            choice_field(
                ids.ATTACK, "Attack", _attack_labels(services), values.get("attack"), invalid="attack" in errors
            ),
            *_strength(services, parsed),
            "? Follow its ",
            choice_field(
                ids.RANK, "Class the path starts from", ranks, shown_value(values.get("rank")), invalid="rank" in errors
            ),
            " class with ",
            html.Span(
                ["θ = ", number_field(ids.THETA, "θ", values.get("theta"), invalid="theta" in errors, width="4.2rem")],
                className="blank",
            ),
            ".",
        ],
        className="sentence",
    )


def _attack_labels(services: Services) -> dict[str, str]:
    return {entry.name: entry.label for entry in services.choices.attacks}


def _strength(services: Services, parsed: Parsed) -> list[object]:
    """The ε slider and its field; both stay in the page, out of sight for an attack without a strength."""
    attack = parsed.values.get("attack")
    parameters = services.choices.attacks[attack].parameters if attack else ()
    strength = next((parameter for parameter in parameters if parameter.name == "epsilon"), None)
    value = parsed.values.get("epsilon")
    low, high = (strength.low or 0.0, strength.high or 1.0) if strength else (0.0, 1.0)
    field = number_field(ids.EPSILON, "Strength ε", value, invalid="epsilon" in parsed.errors)
    control = dbc.Input(
        id=ids.EPSILON_SLIDER,
        type="range",
        min=low,
        max=high,
        step=(high - low) / 200,
        value=value if value is not None else low,
        debounce=80,
        class_name="form-range",
    )
    label = html.Label("Strength ε, slider", htmlFor=ids.EPSILON_SLIDER, className="visually-hidden")
    return [html.Span([" at ", html.Span(["ε = ", field, label, control], className="blank")], hidden=strength is None)]


def _picker() -> html.Div:
    limit = MAX_UPLOAD_BYTES // 2**20
    upload = dcc.Upload(
        html.Div(
            [
                html.Div(
                    [
                        html.I(className="bi bi-upload me-2", **{"aria-hidden": "true"}),
                        "Drop an image, or ",
                        html.Button("choose one", type="button", className="btn btn-link p-0 align-baseline"),
                    ]
                ),
                html.Div(
                    f"PNG, JPEG or WebP, at most {limit} MB and 25 megapixels", className="small text-body-secondary"
                ),
            ]
        ),
        id=ids.UPLOAD,
        className="upload",
        max_size=MAX_UPLOAD_BYTES,
        multiple=False,
        accept="image/png,image/jpeg,image/webp",
    )
    return html.Div(
        [
            html.Div(
                [html.Div(id=ids.STRIP, className="strip", role="group", **{"aria-label": "Test images"}), upload],
                className="picker",
            ),
            html.Div(id=ids.UPLOAD_NOTE, role="status"),
            html.Div(id=ids.SEEN),
        ]
    )


def _attack_settings(services: Services, parsed: Parsed) -> html.Details:
    values, errors = parsed.values, parsed.errors
    attack = values.get("attack")
    parameters = services.choices.attacks[attack].parameters if attack else ()
    given = dict(values.get("settings", ()))
    fields = [
        setting_field(
            {"type": ids.SETTING, "name": parameter.name},
            parameter,
            None if SETTING + parameter.name in errors else given.get(parameter.name, parameter.default),
            errors.get(SETTING + parameter.name),
        )
        for parameter in parameters
        if parameter.name != "epsilon"
    ]
    classes = services.choices.get(values["model"]).classifier.classes if "model" in values else ()
    options = [{"value": ANY_CLASS, "label": "any other class"}]
    options += [{"value": str(index), "label": name} for index, name in enumerate(classes)]
    target = dbc.Select(id=ids.TARGET, options=options, value=_shown_target(parsed), invalid="target" in errors)
    seed = dbc.Input(
        id=ids.SEED,
        type="text",
        inputmode="numeric",
        value=shown_value(values.get("seed")),
        debounce=True,
        invalid="seed" in errors,
    )
    common = [
        html.Div(
            [
                html.Label("Target", htmlFor=ids.TARGET, className="form-label mb-1"),
                target,
                html.Div("The class the attack aims at.", className="small text-body-secondary"),
            ]
        ),
        html.Div(
            [
                html.Label("Seed", htmlFor=ids.SEED, className="form-label mb-1"),
                seed,
                html.Div("The same seed gives the same attack.", className="small text-body-secondary"),
            ]
        ),
    ]
    name = services.choices.attacks[attack].label if attack else "the attack"
    return html.Details(
        [html.Summary(f"Settings of {name}"), html.Div([*common, *fields], className="settings-form mt-2")],
        className="more mt-2",
        open=any(field.startswith(SETTING) or field in ("target", "seed") for field in errors) or bool(given),
    )


def _verdict_panel() -> html.Section:
    return html.Section(
        [
            html.H2("Verdict", className="visually-hidden"),
            html.P(id=ids.VERDICT, className="verdict", **{"aria-live": "polite"}),
            html.Dl(id=ids.NUMBERS, className="numbers"),
            html.Div(
                [
                    html.Button(
                        [_icon("bi-download"), " Adversarial as PNG"],
                        id=ids.SAVE_PNG,
                        n_clicks=0,
                        type="button",
                        className="btn btn-sm btn-outline-primary",
                    ),
                    html.Button(
                        [_icon("bi-download"), " as NPY"],
                        id=ids.SAVE_NPY,
                        n_clicks=0,
                        type="button",
                        className="btn btn-sm btn-outline-primary",
                    ),
                    html.Span(id=ids.SAVE_NOTE, className="small"),
                    html.Button(
                        [_icon("bi-pin-angle"), " Pin as reference"],
                        id=ids.PIN_SET,
                        n_clicks=0,
                        type="button",
                        className="btn btn-sm btn-outline-secondary ms-md-auto",
                    ),
                    html.Button(
                        [_icon("bi-x-lg"), " Unpin"],
                        id=ids.PIN_CLEAR,
                        n_clicks=0,
                        type="button",
                        className="btn btn-sm btn-outline-secondary",
                        hidden=True,
                    ),
                    html.Span(id=ids.PIN_NOTE, className="small text-reference", role="status"),
                ],
                className="d-flex flex-wrap gap-2 align-items-center mt-3",
            ),
        ],
        className="panel mt-3",
    )


def _cards(parsed: Parsed) -> html.Div:
    edges, units = parsed.values.get("edges", EDGES.default), parsed.values.get("units", UNITS.default)
    controls = html.Div(
        [
            slider(ids.EDGES, "Edges", edges, EDGES.low, EDGES.high, 10),
            slider(ids.UNITS, "Units per layer", units, UNITS.low, UNITS.high, 1),
        ],
        className="card-controls",
    )
    return html.Div(
        [
            figure_card(cards.ORIGINAL, span="span-3"),
            figure_card(
                cards.PERTURBATION, span="span-3", footer=html.Div(id=ids.FACTOR, className="small text-body-secondary")
            ),
            figure_card(cards.ADVERSARIAL, span="span-3"),
            figure_card(cards.PROBABILITIES, span="span-3"),
            html.Div(id=ids.PATHS_ERROR, className="span-12", hidden=True),
            figure_card(cards.GRAPH, controls=controls, span="span-12"),
            figure_card(cards.RANK_1, span="span-4"),
            figure_card(cards.RANK_2, span="span-4"),
            figure_card(cards.DENSITY, span="span-4 wide"),
        ],
        className="cards",
    )


def _icon(name: str) -> html.I:
    return html.I(className=f"bi {name}", **{"aria-hidden": "true"})


def _icon_button(name: str, icon: str, text: str) -> html.Button:
    label = [_icon(icon), html.Span(text, className="visually-hidden")]
    return html.Button(
        label, id=name, n_clicks=0, type="button", title=text, className="btn btn-sm btn-outline-secondary small-button"
    )
