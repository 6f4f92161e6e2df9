"""What the forms of studies share: their exact form in the fields of a URL."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.errors import InvalidInputError

Readers = Mapping[str, Callable[[str], Any]]
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,80}")


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


def read_names(field: str, text: str, most: int) -> tuple[str, ...]:
    """The names of models with commas between them, each once.

    Raises:
        InvalidInputError: for what is no name, or more of them than ``most``; names the field.
    """
    names = tuple(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong or len(names) > most:
        got = repr(wrong[0][:40]) if wrong else str(len(names))
        raise InvalidInputError(f"{field}: expected at most {most} names of models; got {got}.")
    return names


def require_known(field: str, values: dict[str, Any], errors: dict[str, str], models: Sequence[str] | None) -> None:
    """Moves a field of names from the values to the errors if it names a model that is not there; None knows all."""
    unknown = [name for name in values.get(field, ()) if models is not None and name not in models]
    if unknown:
        errors[field] = f"{field}: there is no model {unknown[0]!r}; known: {', '.join(models or ())}."
        del values[field]
