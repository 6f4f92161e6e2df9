"""The form of the Sensitivity page: model and attack in a sentence, all else below it."""

from __future__ import annotations

import dash_bootstrap_components as dbc
from dash import html

from dashboard.components.controls import choice_field
from dashboard.pages.sensitivity import ids
from dashboard.pages.sensitivity.page import ATTACK, PAGE, comparable
from dashboard.selection import Parsed
from dashboard.services import Services
from dashboard.studies.unit_form import MAX_OTHERS


def sentence(services: Services, parsed: Parsed) -> html.Div:
    """What the page asks, in one sentence; its blanks are controls."""
    values, errors = parsed.values, parsed.errors
    return html.Div(
        [
            "Which units of ",
            choice_field(ids.MODEL, "Model", services.choices.labels(), values.get("model"), invalid="model" in errors),
            " react to ",
            ATTACK.choice(services, parsed),
            ATTACK.strength(services, parsed),
            "?",
        ],
        className="sentence",
    )


def study_form(services: Services, parsed: Parsed) -> html.Details:
    """The attack's settings, what is measured, and the models it is compared with."""
    contents = [PAGE.fields(parsed), _others(services, parsed), ATTACK.settings(services, parsed)]
    return PAGE.form(parsed, "Images, units, models to compare and settings of the attack", contents)


def _others(services: Services, parsed: Parsed) -> html.Fieldset:
    options, error = comparable(services, parsed), parsed.errors.get("others")
    ticked = [] if error else [name for name in options if name in parsed.values["unit_form"].others]
    text = (
        f"Models that take the same images; they see the same pairs. At most {MAX_OTHERS}."
        if options
        else "There is no other model here that takes the same images."
    )
    control = dbc.Checklist(
        id=PAGE.field("others"),
        options=[{"value": name, "label": label} for name, label in options.items()],
        value=ticked,
        class_name="ticks",
    )
    words = html.Div(error or text, className=f"small {'text-danger-emphasis' if error else 'text-body-secondary'}")
    return html.Fieldset(
        [html.Legend("Compare with", className="form-label h6 mb-0"), words, control], className="mt-3"
    )
