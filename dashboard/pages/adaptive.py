"""How a detector fares against an attack that knows it: no detector is shown without this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def adaptive_line(adaptive: Mapping[str, Any]) -> str:
    """One sentence.

    Args:
        adaptive: fields of :class:`engine.detection.adaptive_evaluation.AdaptiveOutcome`.
    """
    images, misled, missed = (int(adaptive[name]) for name in ("images", "misled", "missed"))
    known = f"An attack that knows the detector (L∞, ε = {adaptive['epsilon']:g})"
    if not misled:
        return f"{known} misled the model on none of {images} images; a larger ε would say more."
    return f"{known} misleads the model on {misled} of {images} images and passes unnoticed on {missed}."
