"""The form of the Detect page: which attacks, which detectors, and how they are judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import dash_bootstrap_components as dbc
from dash import html

from dashboard.components.controls import choice_field, number_field, setting_field, shown_value
from dashboard.components.icons import icon
from dashboard.pages.detect import ids
from dashboard.selection import SEED, Parsed
from dashboard.services import Services
from dashboard.studies.form import (
    BASELINES,
    BUDGET,
    IMAGES,
    LAYERS,
    PART,
    SHARE,
    STUDY_FIELDS,
    SWEPT,
    StudyForm,
    attack_choices,
    field_text,
)
from engine.detection.catalogue import detectors

SETTINGS = (IMAGES, SHARE, PART, LAYERS, BUDGET, replace(SEED, label="Seed"))
LISTS = {
    "attacks": ids.ATTACKS,
    "detectors": ids.DETECTORS,
    "baselines": ids.BASELINES,
    "sweeps": ids.SWEEPS,
}


def list_options() -> dict[str, dict[str, str]]:
    """What can be ticked in each list: labels by name."""
    return {
        "attacks": attack_choices(),
        "detectors": {entry.name: entry.label for entry in detectors},
        "baselines": BASELINES,
        "sweeps": SWEPT,
    }


def rendered(parsed: Parsed) -> dict[str, str]:
    """The text in each control, by field; empty where the URL has a wrong value."""
    form: StudyForm = parsed.values["study_form"]
    texts = {name: field_text(name, getattr(form, name)) for name in STUDY_FIELDS}
    texts |= {name: shown_value(parsed.values.get(name)) for name in ("theta", "seed")}
    return texts | {name: "" for name in parsed.errors if name in texts}


def sentence(services: Services, parsed: Parsed) -> html.Div:
    """What the page asks, in one sentence; its blanks are controls."""
    values, errors = parsed.values, parsed.errors
    theta = number_field(ids.THETA, "θ", values.get("theta"), invalid="theta" in errors, width="4.2rem")
    return html.Div(
        [
            "Can the paths of ",
            choice_field(ids.MODEL, "Model", services.choices.labels(), values.get("model"), invalid="model" in errors),
            " at ",
            html.Span(["θ = ", theta], className="blank"),
            " tell images attacked by ",
            html.Strong(id=ids.CHOSEN),
            " from normal ones?",
        ],
        className="sentence",
    )


def chosen_words(form: StudyForm) -> str:
    """The attacks of a form, for a sentence."""
    labels = attack_choices()
    names = [labels[field_text("attacks", (pair,))] for pair in form.attacks]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def study_form(parsed: Parsed, *, is_open: bool) -> html.Details:
    """Everything a study takes; folded once there is an outcome to look at."""
    form: StudyForm = parsed.values["study_form"]
    errors = parsed.errors
    options = list_options()
    titles = {
        "attacks": ("Attacks", "Each is run on every image; only its successes are there to detect."),
        "detectors": ("Detectors", "Fitted on the path's similarities, layer by layer."),
        "baselines": ("Compare with", "Measured on the same images; each takes longer than the path."),
        "sweeps": ("Vary", "How much does detection depend on it? θ takes longest."),
    }
    lists = {
        name: _checklist(name, *titles[name], options[name], _ticked(form, errors, name), errors.get(name))
        for name in LISTS
    }
    fields = [
        setting_field(
            {"type": ids.SETTING, "name": parameter.name},
            parameter,
            _shown(parsed, parameter.name),
            errors.get(parameter.name),
        )
        for parameter in SETTINGS
    ]
    return html.Details(
        [
            html.Summary("Attacks, detectors and settings"),
            html.Div(
                [lists["attacks"], html.Div([lists["detectors"], lists["baselines"]]), lists["sweeps"]],
                className="study-lists mt-2",
            ),
            html.Div(fields, className="settings-form mt-3"),
        ],
        id=ids.FORM,
        className="more mt-2",
        open=is_open or bool(set(errors) & {*STUDY_FIELDS, "seed"}),
    )


def fit_button() -> html.Div:
    """The button that starts a study, and what is said about it."""
    return html.Div(
        [
            html.Button(
                [icon("bi-play-fill", "me-1"), "Fit detectors"],
                id=ids.FIT,
                n_clicks=0,
                type="button",
                className="btn btn-primary",
            ),
            html.Span(id=ids.FIT_NOTE, className="small", role="status"),
        ],
        className="d-flex flex-wrap gap-3 align-items-center mt-3",
    )


def _ticked(form: StudyForm, errors: Mapping[str, str], name: str) -> list[str]:
    return [] if name in errors else [item for item in field_text(name, getattr(form, name)).split(",") if item]


def _shown(parsed: Parsed, name: str) -> object:
    if name in parsed.errors:
        return None
    return parsed.values["seed"] if name == "seed" else getattr(parsed.values["study_form"], name)


def _checklist(
    name: str, title: str, text: str, options: Mapping[str, str], ticked: list[str], error: str | None
) -> html.Fieldset:
    control = dbc.Checklist(
        id=LISTS[name],
        options=[{"value": key, "label": label} for key, label in options.items()],
        value=ticked,
        class_name=f"ticks ticks-{name}",
    )
    words = html.Div(error or text, className=f"small {'text-danger-emphasis' if error else 'text-body-secondary'}")
    return html.Fieldset([html.Legend(title, className="form-label h6 mb-0"), words, control], className="mb-2")
