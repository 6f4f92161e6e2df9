"""The controls of the Inspect page: the sentence, the images to pick from, and the attack's settings."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard.components.controls import choice_field, number_field, setting_field, shown_value
from dashboard.components.icons import icon, icon_button
from dashboard.pages.inspect import ids
from dashboard.selection import SETTING, Parsed
from dashboard.services import Services
from dashboard.settings import MAX_UPLOAD_BYTES
from dashboard.studies.form import preset_label

# What the list of targets holds for an untargeted attack; assets/detour/selection.js knows it too.
ANY_CLASS = "any"
# What the lists hold for the usual settings of an attack, and for no detector; the script knows them too.
USUAL, NO_DETECTOR = "usual", "none"


def sentence(services: Services, parsed: Parsed) -> html.Div:
    """What is chosen, in one sentence; its blanks are the controls."""
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
                    icon_button(ids.PREVIOUS, "bi-chevron-left", "Previous image", "small-button"),
                    number_field(ids.NUMBER, "Number of the test image", number, invalid="image" in errors, whole=True),
                    icon_button(ids.NEXT, "bi-chevron-right", "Next image", "small-button"),
                    icon_button(ids.RANDOM, "bi-shuffle", "Random image", "small-button"),
                ],
                className="blank",
            ),
            html.Span(id=ids.LABEL_TEXT),
            html.Span(id=ids.CALLED),
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


def picker() -> html.Div:
    """The strip of test images, and the place to drop an image of one's own."""
    limit = MAX_UPLOAD_BYTES // 2**20
    upload = dcc.Upload(
        html.Div(
            [
                html.Div(
                    [
                        icon("bi-upload", "me-2"),
                        "Drop an image, or ",
                        # Not a button: the file input around it is the one stop of the Tab key.
                        html.Span("choose one", className="text-primary-emphasis text-decoration-underline"),
                    ]
                ),
                html.Div(f"PNG, JPEG or WebP; up to {limit} MB, 25 megapixels", className="small text-body-secondary"),
            ]
        ),
        id=ids.UPLOAD,
        className="upload",
        max_size=MAX_UPLOAD_BYTES,
        multiple=False,
        accept="image/png,image/jpeg,image/webp",
    )
    # assets/detour/notices.js refuses larger files before they are sent.
    place = html.Div(upload, className="upload-place", **{"data-max-bytes": str(MAX_UPLOAD_BYTES)})
    return html.Div(
        [
            html.Div(
                [html.Div(id=ids.STRIP, className="strip", role="group", **{"aria-label": "Test images"}), place],
                className="picker",
            ),
            html.Div(id=ids.UPLOAD_NOTE, role="status"),
            html.Div(id=ids.SEEN),
        ]
    )


def attack_settings(services: Services, parsed: Parsed) -> html.Details:
    """The form of everything else an attack takes; open when something in it was set or is wrong."""
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
    options = target_options(classes, None, values.get("target"))
    target = dbc.Select(id=ids.TARGET, options=options, value=shown_target(parsed), invalid="target" in errors)
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
            ],
            hidden=bool(attack) and not services.choices.attacks[attack].facts["targeted"],
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
    preset = _preset_choice(services, parsed) if attack else html.Div(dbc.Select(id=ids.PRESET), hidden=True)
    return html.Details(
        [html.Summary(f"Settings of {name}"), html.Div([preset, *common, *fields], className="settings-form mt-2")],
        className="more mt-2",
        open=any(field.startswith(SETTING) or field in ("target", "seed") for field in errors) or bool(given),
    )


def preset_fields(services: Services, attack: str) -> dict[str, dict[str, str]]:
    """For every preset of an attack's settings, the fields of the URL that make it; the usual settings make none."""
    entry = services.choices.attacks[attack]
    usual = {parameter.name: parameter.default for parameter in entry.parameters}
    fields = {
        name: {
            key if key == "epsilon" else SETTING + key: shown_value(value)
            for key, value in settings.items()
            if value != usual[key]
        }
        for name, settings in entry.facts.get("presets", {}).items()
    }
    return {USUAL: {}, **fields}


def _preset_choice(services: Services, parsed: Parsed) -> html.Div:
    """Settings that belong together, by name."""
    values = parsed.values
    entry = services.choices.attacks[values["attack"]]
    usual = {parameter.name: parameter.default for parameter in entry.parameters}
    now = usual | dict(values.get("settings", ())) | ({"epsilon": values.get("epsilon")} if "epsilon" in usual else {})
    named = {USUAL: {}, **entry.facts.get("presets", {})}
    chosen = next((name for name, settings in named.items() if usual | settings == now), "")
    options = [{"value": name, "label": "usual settings" if name == USUAL else preset_label(name)} for name in named]
    control = dbc.Select(id=ids.PRESET, options=options, value=chosen, placeholder="own settings")
    return html.Div(
        [
            html.Label("Preset", htmlFor=ids.PRESET, className="form-label mb-1"),
            control,
            html.Div("Settings of a paper or for a kind of data.", className="small text-body-secondary"),
        ],
        hidden=len(named) == 1,
    )


def detector_choice(services: Services, parsed: Parsed) -> html.Div:
    """The list of detectors that were fitted for the model; without any, where to fit one."""
    saved = services.studies.saved(parsed.values["model"]) if "model" in parsed.values else []
    options = {NO_DETECTOR: "no detector", **{one.key: one.label for one in saved}}
    field = choice_field(ids.DETECTOR, "Detector", options, shown_detector(parsed), invalid="detector" in parsed.errors)
    fit_at = "/detect?" + urlencode({"model": parsed.values["model"]}) if "model" in parsed.values else "/detect"
    words = html.Span(["Detector: ", field], hidden=not saved, className="sentence")
    link = html.Span(
        ["No detector has been fitted for this model yet; ", dcc.Link("fit one", href=fit_at), "."],
        className="small",
        hidden=bool(saved),
    )
    return html.Div([words, link])


def shown_detector(parsed: Parsed) -> str:
    """What the list of detectors shows."""
    if "detector" in parsed.errors:
        return ""
    chosen = parsed.values.get("detector")
    return NO_DETECTOR if chosen is None else ":".join(chosen)


def target_options(classes: Sequence[str], left_out: int | None, chosen: int | None) -> list[dict[str, str]]:
    """The list of targets, without the class that the attack leads away from, unless that is what is chosen."""
    options = [{"value": ANY_CLASS, "label": "any other class"}]
    return options + [
        {"value": str(index), "label": name}
        for index, name in enumerate(classes)
        if index != left_out or index == chosen
    ]


def shown_target(parsed: Parsed) -> str:
    """What the list of targets shows."""
    if "target" in parsed.errors:
        return ""
    return shown_value(parsed.values["target"]) if "target" in parsed.values else ANY_CLASS
