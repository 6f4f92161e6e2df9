"""What a study of units is asked for, besides model, attack and seed, and its exact form in the URL.

The Sensitivity and the Route page share it: how many pairs of images, and what each of the two needs beyond that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from dashboard.studies.fields import Readers, differing, plain_text, read_fields, read_names, require_known
from engine.registry import Parameter

PAIRS = Parameter(
    "pairs", "Images", "int", 200, low=10, high=10_000,
    help="Test images that the model classifies correctly; each is attacked once.",
)  # fmt: skip
WHERE = Parameter(
    "where", "Units are looked at", "choice", "before", choices=("before", "after"),
    help="Before or after their activation function.",
)  # fmt: skip
TOP = Parameter(
    "top", "Sensitive units", "float", 0.1, low=0.01, high=1.0,
    help="Share of a layer's units that counts as sensitive, and is damped.",
)  # fmt: skip
ROUTED = Parameter(
    "routed", "Images for the route", "int", 500, low=10, high=10_000,
    help="Training images, attacked; the route is made from them, the experiments from the test images.",
)  # fmt: skip
INSTANCE = Parameter(
    "instance", "Route of an image", "float", 0.2, low=0.01, high=1.0, help="Share of each layer's units on it."
)
KEPT = Parameter(
    "kept", "Route of the model", "float", 0.3, low=0.01, high=1.0,
    help="Share of each layer's units on it: those that are most often on the routes of images.",
)  # fmt: skip
SENSITIVITY_SETTINGS = (PAIRS, WHERE, TOP)
ROUTE_SETTINGS = (PAIRS, ROUTED, INSTANCE, KEPT)
MAX_OTHERS = 4


@dataclass(frozen=True, slots=True)
class UnitForm:
    """What a study of units is asked for.

    Attributes:
        pairs: number of test images.
        where: "before" or "after" the activation (Sensitivity).
        top: share of sensitive units (Sensitivity).
        others: names of models compared on the same images (Sensitivity).
        routed: number of training images (Route).
        instance, kept: shares of units on the route of an image, and of the model (Route).
    """

    pairs: int = 200
    where: str = "before"
    top: float = 0.1
    others: tuple[str, ...] = ()
    routed: int = 500
    instance: float = 0.2
    kept: float = 0.3

    def to_fields(self) -> dict[str, str]:
        """The fields of a URL that differ from the usual ones."""
        return differing(self, lambda _, value: plain_text(value))


UNIT_FIELDS = tuple(field.name for field in fields(UnitForm))


_READERS: Readers = {
    "pairs": PAIRS.parse,
    "where": WHERE.parse,
    "top": TOP.parse,
    "others": lambda text: read_names("others", text, MAX_OTHERS),
    "routed": ROUTED.parse,
    "instance": INSTANCE.parse,
    "kept": KEPT.parse,
}


def read_unit_form(query: Mapping[str, str], models: Sequence[str] | None = None) -> tuple[UnitForm, dict[str, str]]:
    """Reads the fields of a URL.

    Args:
        query: its fields.
        models: the models there are; None takes any name.

    Returns:
        the form, in which a wrong field has its usual value; and a sentence for each that is wrong.
    """
    values, errors = read_fields(query, _READERS)
    require_known("others", values, errors, models)
    return UnitForm(**values), errors
