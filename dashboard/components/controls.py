"""Controls with their labels, as a sentence or a form takes them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import dash_bootstrap_components as dbc
from dash import ClientsideFunction, Dash, Input, Output, html

from engine.registry import Parameter

# An error is filed under at most so many characters of its field's name.
MAX_SHOWN_NAME = 40
# What a list holds while nothing is said, so that what is usual is done; assets/detour/selection.js knows it too.
UNSAID = "usual"


def number_field(
    name: str, label: str, value: object, *, invalid: bool = False, whole: bool = False, width: str = ""
) -> html.Span:
    """A text field for a number inside a sentence; what is typed is checked by the server, which says what is wrong."""
    return html.Span(
        [
            html.Label(label, htmlFor=name, className="visually-hidden"),
            dbc.Input(
                id=name,
                type="text",
                inputmode="numeric" if whole else "decimal",
                autocomplete="off",
                value=shown_value(value),
                debounce=True,
                invalid=invalid,
                style={"width": width} if width else None,
            ),
        ],
        className="blank",
    )


def choice_field(
    name: str, label: str, options: dict[str, str], value: str | None, *, invalid: bool = False
) -> html.Span:
    """A list to choose from inside a sentence; an unknown value shows as no choice."""
    return html.Span(
        [
            html.Label(label, htmlFor=name, className="visually-hidden"),
            dbc.Select(
                id=name,
                options=[{"value": key, "label": text} for key, text in options.items()],
                value=value,
                invalid=invalid,
                placeholder="choose",
            ),
        ],
        className="blank",
    )


def slider(name: str, label: str, value: float, low: float, high: float, step: float) -> html.Label:
    """A labelled slider that follows while it is dragged, with its number; :func:`register_slider` keeps that right."""
    control = dbc.Input(
        id=name, type="range", min=low, max=high, step=step, value=value, debounce=80, class_name="form-range"
    )
    return html.Label([label, control, html.Output(str(value), id=_number_beside(name))])


def register_slider(app: Dash, name: str) -> None:
    """Shows a slider's number while it is dragged, in the browser."""
    app.clientside_callback(
        ClientsideFunction("selection", "text"), Output(_number_beside(name), "children"), Input(name, "value")
    )


def _number_beside(name: str) -> str:
    return f"{name}-number"


def setting_field(
    identity: dict[str, str], parameter: Parameter, value: object, error: str | None, usual: str = ""
) -> html.Div:
    """One setting in a form, with its unit, range and meaning.

    Args:
        identity: the control's id.
        parameter: the setting.
        value: in the control; None leaves it empty.
        error: what is wrong with the setting, or None.
        usual: what an empty control stands for; "" where it may not be empty.
    """
    element = "-".join(identity.values())
    label = f"{parameter.label} ({parameter.unit})" if parameter.unit else parameter.label
    if parameter.kind in ("bool", "choice"):
        names = (
            {"true": "yes", "false": "no"} if parameter.kind == "bool" else {name: name for name in parameter.choices}
        )
        options = [{"value": UNSAID, "label": f"usual: {names.get(usual, usual)}"}] if usual else []
        options += [{"value": key, "label": text} for key, text in names.items()]
        shown = UNSAID if usual and value is None and not error else shown_value(value)
        control = dbc.Select(id=identity, options=options, value=shown, invalid=bool(error))
    else:
        control = dbc.Input(
            id=identity,
            type="text",
            inputmode="decimal",
            value=shown_value(value),
            placeholder=usual,
            debounce=True,
            invalid=bool(error),
        )
    bounds = (parameter.low, parameter.high)
    span = "" if None in bounds else f" From {_readable(parameter.low)} to {_readable(parameter.high)}."
    return html.Div(
        [
            html.Label(
                [html.Span(label, className="form-label d-block mb-1"), control],
                className="d-block",
                id=f"{element}-label",
            ),
            html.Div(
                error or f"{parameter.help}{span}".strip(),
                className=f"small {'text-danger-emphasis' if error else 'text-body-secondary'}",
            ),
        ]
    )


def _readable(number: float) -> str:
    """A bound as a person reads it: whole numbers in full."""
    return f"{int(number):,}" if number == int(number) else f"{number:g}"


def shown_value(value: object) -> str:
    """A value as the text a control holds, the form the URL uses too."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def field_errors(errors: Mapping[str, str], query: Mapping[str, object]) -> object:
    """What is wrong with the fields of a query, above the page; nothing when all is right.

    Args:
        errors: a sentence per wrong field, by the first characters of its name.
        query: all fields, by their names.
    """
    if not errors:
        return None
    right = {name: value for name, value in query.items() if not errors.keys() & {name, name[:MAX_SHOWN_NAME]}}
    remedy = "Leave out what is wrong" if right else "Start again with the usual values"
    return dbc.Alert(
        [
            html.Strong("This view cannot be shown as asked."),
            html.Ul([html.Li(text) for text in errors.values()], className="mb-1 mt-1"),
            html.A(remedy, href="?" + urlencode(right, doseq=True), className="alert-link"),
        ],
        color="danger",
    )
