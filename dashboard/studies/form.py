"""What a detection study is asked for, and its exact form in the URL.

Lists are written with commas; an attack with a preset of its settings as ``jsma:authors``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from dashboard.studies.fields import Readers, differing, plain_text, read_fields
from engine.attacks.catalogue import attacks
from engine.detection.catalogue import detectors
from engine.errors import InvalidInputError
from engine.registry import Parameter

BASELINES = {"cdrp": "CDRP", "attention": "latent attention"}
SWEPT = {
    "training-size": "training images",
    "attacks-seen": "attacks seen",
    "last-layers": "layers",
    "parts": "synapses or weights",
    "theta": "θ",
}
IMAGES = Parameter(
    "images", "Images", "int", 300, low=20, high=10_000,
    help="Test images that the model classifies correctly; each is attacked by every attack.",
)  # fmt: skip
PART = Parameter(
    "part",
    "Part of the paths",
    "choice",
    "synapses",
    choices=("synapses", "weights"),
    help="What of the paths is compared.",
)
LAYERS = Parameter("layers", "Layers", "int", 0, low=0, high=1000, help="Only the last so many layers; 0 takes all.")
SHARE = Parameter(
    "share", "Fitted on", "float", 0.1, low=0.01, high=0.9, help="Share of the images to fit on; the rest judges."
)
BUDGET = Parameter(
    "budget", "Adaptive ε", "float", 0.2, low=0.0, high=1.0,
    help="L∞ radius of the attack that knows the detector. 0.2 suits MNIST; 0.03 suits 32×32 colour.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StudyForm:
    """What a study is asked for, besides model, θ and seed.

    Attributes:
        attacks: names in the catalogue, each with the preset of its settings or None for the usual ones.
        detectors: names in the catalogue.
        baselines: names in :data:`BASELINES`.
        sweeps: names in :data:`SWEPT`.
        images: number of test images.
        part: "synapses" or "weights".
        layers: only the last so many layers, or 0 for all.
        share: of the images to fit on.
        budget: L∞ radius of the adaptive attack.
    """

    attacks: tuple[tuple[str, str | None], ...] = (("fgsm", None), ("bim", None), ("deepfool", None))
    detectors: tuple[str, ...] = ("joint_similarity", "random_forest")
    baselines: tuple[str, ...] = ()
    sweeps: tuple[str, ...] = ("training-size", "last-layers")
    images: int = 300
    part: str = "synapses"
    layers: int = 0
    share: float = 0.1
    budget: float = 0.2

    def to_fields(self) -> dict[str, str]:
        """The fields of a URL that differ from the usual ones."""
        return differing(self, field_text)


STUDY_FIELDS = tuple(field.name for field in fields(StudyForm))


def field_text(name: str, value: Any) -> str:
    """A value as the URL has it."""
    if name == "attacks":
        return ",".join(attack if preset is None else f"{attack}:{preset}" for attack, preset in value)
    return plain_text(value)


def attack_choices() -> dict[str, str]:
    """All attacks that can be chosen, each with its usual settings and with every preset: a label by URL text."""
    choices = {}
    for entry in attacks:
        choices[entry.name] = entry.label
        for preset in entry.facts.get("presets", {}):
            choices[f"{entry.name}:{preset}"] = f"{entry.label}, {preset_label(preset)}"
    return choices


def preset_label(preset: str) -> str:
    """A preset of settings, for a person."""
    return {"authors": "authors’ settings", "mnist": "for MNIST", "cifar10": "for 32×32 colour"}.get(preset, preset)


def _read_attacks(text: str) -> tuple[tuple[str, str | None], ...]:
    known = attack_choices()
    chosen = _listed("attacks", text, known)
    if not chosen:
        raise InvalidInputError("attacks: expected at least one to detect; got none.")
    pairs = [item.partition(":") for item in chosen]
    return tuple((name, preset or None) for name, _, preset in pairs)


def _read_detectors(text: str) -> tuple[str, ...]:
    chosen = _listed("detectors", text, detectors.names())
    if not chosen:
        raise InvalidInputError("detectors: expected at least one to fit; got none.")
    return chosen


def _listed(name: str, text: str, known: Sequence[str] | Mapping[str, str]) -> tuple[str, ...]:
    items = [item.strip() for item in text.split(",") if item.strip()]
    unknown = [item for item in items if item not in known]
    if unknown:
        raise InvalidInputError(f"{name}: expected names among {', '.join(known)}; got {unknown[0][:40]!r}.")
    return tuple(name for name in known if name in items)  # the same choice is the same study, in whatever order


_READERS: Readers = {
    "attacks": _read_attacks,
    "detectors": _read_detectors,
    "baselines": lambda text: _listed("baselines", text, BASELINES),
    "sweeps": lambda text: _listed("sweeps", text, SWEPT),
    "images": IMAGES.parse,
    "part": PART.parse,
    "layers": LAYERS.parse,
    "share": SHARE.parse,
    "budget": BUDGET.parse,
}


def read_study_form(query: Mapping[str, str]) -> tuple[StudyForm, dict[str, str]]:
    """Reads the fields of a URL.

    Returns:
        the form, in which a wrong field has its usual value; and a sentence for each that is wrong.
    """
    values, errors = read_fields(query, _READERS)
    return StudyForm(**values), errors
