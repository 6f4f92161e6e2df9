"""The words that pages and the report share: names of methods, and what is said of how they fare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.detection.catalogue import detectors
from engine.detection.outcome import ATTENTION

CDRP: Final = "cdrp + "
#: Headings for the measures of latent attention, by their names in a study.
CONTRAST: Final[Mapping[str, str]] = {
    "true_positive": "attack found",
    "true_negative": "normal passed",
    "recovery": "mask shows true class",
    "invariance": "mask keeps its class",
}
CONTRAST_EXPLAINED: Final = (
    "Attack found: the mask of the attacked image is not taken for what the model says. True class: it still shows it. "
    "Keeps its class: it is taken for what the mask of the clean image is taken for."
)


def method_label(method: str) -> str:
    """What a person reads for a method of a study."""
    if method.startswith(CDRP):
        return f"CDRP · {method_label(method.removeprefix(CDRP))}"
    if method == ATTENTION:
        return "Latent attention"
    return detectors[method].label if method in detectors else method


def is_path_detector(method: str) -> bool:
    """Whether a method looks at paths; the others are baselines."""
    return method in detectors


def adaptive_line(adaptive: Mapping[str, Any], method: str) -> str:
    """How a method fares against an attack that knows the path; no detector is shown without this sentence.

    Args:
        adaptive: fields of :class:`engine.detection.adaptive_evaluation.AdaptiveOutcome`.
        method: name in the study; the attack knows the path detectors, not the baselines.
    """
    images, misled, missed = (int(adaptive[name]) for name in ("images", "misled", "missed"))
    size = f"(L∞, ε = {adaptive['epsilon']:g})"
    known = f"An attack that knows the detector {size}"
    if not is_path_detector(method):
        known = f"An attack that knows path detectors, not this baseline, {size}"
    if not misled:
        return f"{known} misled the model on none of {images} images; a larger ε would say more."
    return f"{known} misleads the model on {misled} of {images} images and passes unnoticed on {missed}."
