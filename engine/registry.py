"""One registry class for everything a user can choose by name: models, data sets, attacks."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from engine.errors import InvalidInputError, UnknownNameError

T = TypeVar("T")
Value = float | int | bool | str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One typed setting of an entry. Forms and command lines are built from it.

    Attributes:
        name: keyword of the entry's factory.
        label: what a person reads.
        kind: type of the value.
        default: value used when none is given.
        low, high: inclusive range of a number, or None where it is open.
        unit: unit of the number, "" when it has none.
        choices: the allowed values of a "choice".
        help: one sentence.
    """

    name: str
    label: str
    kind: Literal["float", "int", "bool", "choice"]
    default: Value
    low: float | None = None
    high: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    help: str = ""

    def parse(self, value: object) -> Value:
        """The value as this parameter's type.

        Raises:
            InvalidInputError: if it is of another type or out of range; never falls back to the default.
        """
        if self.kind == "choice":
            if value not in self.choices:
                raise InvalidInputError(
                    f"{self.name}: expected one of {', '.join(self.choices)}; got {str(value)[:60]!r}."
                )
            return str(value)
        if self.kind == "bool":
            known = {"true": True, "false": False, "1": True, "0": False}
            if str(value).lower() not in known:
                raise InvalidInputError(f"{self.name}: expected true or false; got {str(value)[:60]!r}.")
            return known[str(value).lower()]
        return self._parse_number(value)

    def _parse_number(self, value: object) -> float | int:
        span = ""
        if self.low is not None and self.high is not None:
            span = f" from {self.low:.10g} to {self.high:.10g}"
        elif self.low is not None:
            span = f" of at least {self.low:.10g}"
        elif self.high is not None:
            span = f" of at most {self.high:.10g}"
        wanted = f"{self.name}: expected {'a whole number' if self.kind == 'int' else 'a number'}{span}"
        try:
            number = float(str(value))
        except ValueError:
            raise InvalidInputError(f"{wanted}; got {str(value)[:60]!r}.") from None
        too_low = self.low is not None and number < self.low
        too_high = self.high is not None and number > self.high
        if not math.isfinite(number) or too_low or too_high or (self.kind == "int" and number != int(number)):
            raise InvalidInputError(f"{wanted}; got {str(value)[:60]}.")
        return int(number) if self.kind == "int" else number


def _always(*_: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """What is known of one registered thing before it is made.

    Attributes:
        name: identifier used in URLs, on command lines and in files.
        label: what a person reads.
        factory: makes the thing from its parameters, given as keywords.
        parameters: the factory's settings.
        paper: where it is published ("" for what has no paper).
        is_compatible: whether it can be used together with the given other thing (a model with a data set, say).
        facts: further plain values, by name (input shape, number of classes, ...).
    """

    name: str
    label: str
    factory: Callable[..., T]
    parameters: tuple[Parameter, ...] = ()
    paper: str = ""
    is_compatible: Callable[..., bool] = _always
    facts: Mapping[str, Any] = field(default_factory=dict)

    def create(self, **settings: object) -> T:
        """Makes the thing; settings that are not given take their defaults.

        Raises:
            InvalidInputError: for a setting that is unknown, of the wrong type or out of range.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise InvalidInputError(f"{self.name} has no setting {unknown[0]!r}; it has: {', '.join(known) or 'none'}.")
        values = {name: p.parse(settings[name]) if name in settings else p.default for name, p in known.items()}
        return self.factory(**values)


class Registry(Generic[T]):
    """Entries by name, in the order they were added."""

    def __init__(self, kind: str) -> None:
        """Makes an empty registry of things called ``kind`` in messages ("model", "attack", ...)."""
        self.kind = kind
        self._entries: dict[str, Entry[T]] = {}

    def add(self, entry: Entry[T]) -> None:
        """Adds an entry.

        Raises:
            ValueError: if the name is taken already; two things under one name is a programming error.
        """
        if entry.name in self._entries:
            raise ValueError(f"the {self.kind} {entry.name!r} is registered twice")
        self._entries[entry.name] = entry

    def __getitem__(self, name: str) -> Entry[T]:
        """The entry of that name.

        Raises:
            UnknownNameError: naming the closest known ones.
        """
        try:
            return self._entries[name]
        except KeyError:
            close = difflib.get_close_matches(str(name)[:60], self._entries, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            known = ", ".join(self._entries) or "none"
            raise UnknownNameError(f"unknown {self.kind} {str(name)[:60]!r}; known: {known}.{hint}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[Entry[T]]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def names(self) -> list[str]:
        """The names, in order."""
        return list(self._entries)
