"""What the forms of studies share: their exact form in the fields of a URL."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from engine.errors import InvalidInputError

Readers = Mapping[str, Callable[[str], Any]]


def plain_text(value: Any) -> str:
    """A value as the URL has it: numbers with ten digits, several names with commas between them."""
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def differing(form: Any, text: Callable[[str, Any], str]) -> dict[str, str]:
    """The fields of a form, a dataclass that can be made without arguments, that are not as usual.

    Args:
        form: the form.
        text: a value as the URL has it, from the field's name and the value.
    """
    usual = type(form)()
    values = {field.name: getattr(form, field.name) for field in dataclasses.fields(form)}
    return {name: text(name, value) for name, value in values.items() if value != getattr(usual, name)}


def read_fields(query: Mapping[str, str], readers: Readers) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of the fields that a URL has, and a sentence for each that is wrong."""
    values, errors = {}, {}
    for name, read in readers.items():
        if name in query:
            try:
                values[name] = read(query[name])
            except InvalidInputError as error:
                errors[name] = str(error)
    return values, errors
