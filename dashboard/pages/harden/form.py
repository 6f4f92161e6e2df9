"""The form of the Harden page: method and model in a sentence, all else below it."""

from __future__ import annotations

from dash import html

from dashboard.components.controls import choice_field, setting_field, shown_value
from dashboard.components.icons import icon
from dashboard.pages.harden import ids, ways
from dashboard.pages.harden.page import ASKED, SETTINGS
from dashboard.selection import Parsed
from dashboard.services import Services
from dashboard.services.jobs.hardening_settings import completed
from dashboard.studies.harden_form import WITH, HardenForm
from engine.errors import EngineError
from engine.hardening.catalogue import hardening_methods


def sentence(services: Services, parsed: Parsed) -> html.Div:
    """What the page asks, in one sentence; its blanks are controls."""
    values, errors, form = parsed.values, parsed.errors, parsed.values["harden_form"]
    way = None if "way" in errors else form.way
    return html.Div(
        [
            "What does ",
            choice_field(ids.WAY, "Method", ways.labels(), way, invalid="way" in errors),
            " change in ",
            choice_field(ids.MODEL, "Model", services.choices.labels(), values.get("model"), invalid="model" in errors),
            "?",
        ],
        className="sentence",
    )


def method_line(parsed: Parsed) -> html.P | None:
    """What the chosen method does, and its paper."""
    if "way" in parsed.errors:
        return None
    return html.P(ways.described(parsed.values["harden_form"].way), className="small method-line mb-1")


def run_form(services: Services, parsed: Parsed) -> html.Details:
    """Everything a hardening takes; folded once there is something to look at."""
    errors, usual = parsed.errors, usual_form(services, parsed)
    asked = any(name in ASKED or name.startswith(WITH) for name in errors)
    training = html.Div(
        [
            setting_field(
                ids.field(one.name), one, _value(parsed, one.name), errors.get(one.name), _usual(usual, one.name)
            )
            for one in SETTINGS
        ],
        className="settings-form training-form mt-2",
    )
    contents = [training, *_method_settings(parsed, usual), ways.all_described(parsed.values["harden_form"].way)]
    return html.Details(
        [html.Summary("Training and settings of the method"), *contents],
        id=ids.FORM,
        className="more mt-1",
        open=asked or not {"harden", "comparison"} & set(parsed.values),
    )


def run_button() -> html.Div:
    """The button that starts a hardening, how long it will take, and links to earlier ones."""
    button = html.Button(
        [icon("bi-hammer", "me-1"), "Harden"],
        id=ids.ASK,
        n_clicks=0,
        type="button",
        className="btn btn-primary",
    )
    estimate = html.Span(id=ids.ESTIMATE, className="small text-body-secondary", role="status")
    note = html.Span(id=ids.NOTE, className="small", role="status")
    row = html.Div([button, estimate, note], className="d-flex flex-wrap gap-3 align-items-center mt-2")
    return html.Div([row, html.Div(id=ids.EARLIER, className="small mt-2")])


def usual_form(services: Services, parsed: Parsed) -> HardenForm | None:
    """What empty controls stand for; None for a model that cannot be hardened, or not be told which."""
    form = parsed.values["harden_form"]
    if "model" not in parsed.values or "way" in parsed.errors:
        return None
    try:
        return completed(HardenForm(form.way, form.start), services.choices.get(parsed.values["model"]))
    except EngineError:  # the estimate below the form says why
        return None


def rendered(parsed: Parsed) -> dict[str, str]:
    """The text in each control, by field; empty where the URL has a wrong value."""
    form: HardenForm = parsed.values["harden_form"]
    names = [*(one.name for one in SETTINGS), *(WITH + one.name for one in hardening_methods[form.way].parameters)]
    return {name: shown_value(_value(parsed, name)) for name in (*names, "judged")}


def _method_settings(parsed: Parsed, usual: HardenForm | None) -> list[object]:
    """The settings that the chosen method has."""
    entry, errors = hardening_methods[parsed.values["harden_form"].way], parsed.errors
    if not entry.parameters or "way" in errors:
        return []
    fields = [
        setting_field(
            ids.field(WITH + one.name),
            one,
            _value(parsed, WITH + one.name),
            errors.get(WITH + one.name),
            _usual(usual, WITH + one.name),
        )
        for one in entry.parameters
    ]
    title = html.Legend(f"Settings of {entry.label}", className="form-label h6 mb-2")
    return [html.Fieldset([title, html.Div(fields, className="settings-form training-form mt-1")], className="mt-3")]


def _value(parsed: Parsed, name: str) -> object:
    """The value in a control; None where nothing was said, or something wrong."""
    if name in parsed.errors:
        return None
    form: HardenForm = parsed.values["harden_form"]
    if name == "seed":
        return parsed.values["seed"]
    return dict(form.ways).get(name.removeprefix(WITH)) if name.startswith(WITH) else getattr(form, name)


def _usual(usual: HardenForm | None, name: str) -> str:
    """What an empty control stands for, as its text."""
    if name == "seed":
        return "0"
    if usual is None:
        return ""
    if name == "start":  # the rest is usual for the chosen start, this for the method
        return str(hardening_methods[usual.way].facts["start"])
    found = dict(usual.ways)[name.removeprefix(WITH)] if name.startswith(WITH) else getattr(usual, name)
    return shown_value(found)
