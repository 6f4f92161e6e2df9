"""What a hardening is asked for, and what is looked at afterwards, besides model and seed; its exact form in the URL.

The Harden page and the view over training on the Classes page share it. Settings of the method stand in fields
``with.NAME``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from dashboard.studies.fields import Readers, differing, plain_text, read_fields, read_names, require_known
from engine.errors import InvalidInputError
from engine.hardening.catalogue import hardening_methods
from engine.registry import Parameter, Value

WITH = "with."
START = Parameter(
    "start", "First weights", "choice", "parent", choices=("parent", "scratch"),
    help="parent: go on from the model's weights; scratch: from random ones, with its architecture.",
)  # fmt: skip
EPOCHS = Parameter("epochs", "Epochs", "int", 10, low=1, high=1000, help="Passes over the training images.")
RATE = Parameter("rate", "Learning rate", "float", 0.001, low=1e-6, high=10.0, help="At the first step.")
BATCH = Parameter("batch", "Images a step", "int", 64, low=1, high=10_000, help="Training images of one step.")
TRAINED = Parameter(
    "trained", "Training images", "int", 1000, low=1, high=10_000_000,
    help="A fixed choice of the training images, the same for every method.",
)  # fmt: skip
JUDGED = Parameter(
    "judged", "Test images", "int", 200, low=10, high=10_000,
    help="The first so many test images; every model that is compared is attacked on them.",
)  # fmt: skip
PHASED = Parameter(
    "phased", "Images a checkpoint", "int", 300, low=10, high=10_000,
    help="Training images from which the class paths of every epoch are taken.",
)  # fmt: skip
#: What a hardening has whatever its method; None stands for what is usual for the method and the data set.
TRAINING_SETTINGS = (START, EPOCHS, RATE, BATCH, TRAINED)
MAX_BESIDE = 6
USUAL_WAY = "pat"


@dataclass(frozen=True, slots=True)
class HardenForm:
    """What a hardening is asked for, and what is looked at afterwards.

    Attributes:
        way: name of the method.
        start: "parent" or "scratch"; None for what is usual, here and below.
        epochs: passes over the training images.
        rate: learning rate at the first step.
        batch: images a step.
        trained: number of training images.
        ways: settings of the method that were given, by name, in alphabetical order.
        judged: number of test images of a comparison.
        beside: names of the models that are compared with the selection's.
        phased: training images a checkpoint, for the view over training.
    """

    way: str = USUAL_WAY
    start: str | None = None
    epochs: int | None = None
    rate: float | None = None
    batch: int | None = None
    trained: int | None = None
    ways: tuple[tuple[str, Value], ...] = ()
    judged: int = 200
    beside: tuple[str, ...] = ()
    phased: int = 300

    def to_fields(self) -> dict[str, str]:
        """The fields of a URL that differ from the usual ones."""
        found = differing(self, lambda name, value: "" if name == "ways" else field_text(value))
        found.pop("ways", None)
        return found | {f"{WITH}{name}": field_text(value) for name, value in self.ways}


HARDEN_FIELDS = tuple(field.name for field in fields(HardenForm) if field.name != "ways")


def field_text(value: Any) -> str:
    """As other forms have it, but every digit of a number: a link asks for the very same hardening."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else plain_text(value)


def _read_way(text: str) -> str:
    if text not in hardening_methods:
        raise InvalidInputError(f"way: expected one of {', '.join(hardening_methods.names())}; got {text[:60]!r}.")
    return text


_READERS: Readers = {
    "way": _read_way,
    **{parameter.name: parameter.parse for parameter in (*TRAINING_SETTINGS, JUDGED, PHASED)},
    "beside": lambda text: read_names("beside", text, MAX_BESIDE),
}


def read_harden_form(
    query: Mapping[str, str], models: Sequence[str] | None = None
) -> tuple[HardenForm, dict[str, str]]:
    """Reads the fields of a URL.

    Args:
        query: its fields.
        models: the models there are; None takes any name.

    Returns:
        the form, in which a wrong field has its usual value; and a sentence for each that is wrong.
    """
    values, errors = read_fields(query, _READERS)
    require_known("beside", values, errors, models)
    if "way" not in errors:  # a setting of no method is neither right nor wrong
        values["ways"], wrong = _read_ways(values.get("way", USUAL_WAY), query)
        errors |= wrong
    return HardenForm(**values), errors


def _read_ways(way: str, query: Mapping[str, str]) -> tuple[tuple[tuple[str, Value], ...], dict[str, str]]:
    """The settings of a method, and a sentence for each that is wrong."""
    entry, errors = hardening_methods[way], {}
    parameters = {parameter.name: parameter for parameter in entry.parameters}
    given: list[tuple[str, Value]] = []
    for field, text in query.items():
        name = field.removeprefix(WITH)
        if name == field:
            continue
        if name not in parameters:
            errors[field] = f"{field[:60]}: {entry.label} has no such setting."
            continue
        try:
            given.append((name, parameters[name].parse(text)))
        except InvalidInputError as error:
            errors[field] = f"{WITH}{error}"
    return tuple(sorted(given)), errors
