"""Sensitivity against strength: how far layers move as an attack grows (Zhang et al. 2020, figure 14 and table II)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from engine.attacks.base import Attack
from engine.attacks.catalogue import attacks
from engine.attacks.pairs import attack_pairs
from engine.datasets.dataset import ImageSet
from engine.errors import InvalidInputError
from engine.progress import Progress, silent, span
from engine.registry import Value
from engine.sensitivity.measuring import unit_sensitivity

Floats = npt.NDArray[np.float64]
PARAMETER = "epsilon"


@dataclass(frozen=True, slots=True, eq=False)
class StrengthCurve:
    """Mean sensitivity ratio of layers against the strength of an attack.

    Attributes:
        strengths: (S,) values of ``epsilon``.
        layers: names of the L unit layers.
        ratios: (S, L) mean ratio over the units of a layer; NaN where no clean image activates one.
        success: (S,) share of the attacked copies that the model takes for another class.
        n_images: how many images were attacked.
        attack: name of the attack.
        settings: its other settings by name.
        seed: of its random choices.
    """

    strengths: Floats
    layers: tuple[str, ...]
    ratios: Floats
    success: Floats
    n_images: int
    attack: str
    settings: Mapping[str, Value]
    seed: int


def ratio_by_strength(
    model: nn.Module,
    images: ImageSet,
    attack: str,
    strengths: Sequence[float],
    *,
    settings: Mapping[str, Value] | None = None,
    layers: Sequence[str] | None = None,
    activated: bool = False,
    n_images: int = 200,
    seed: int = 0,
    folder: Path | None = None,
    progress: Progress = silent,
) -> StrengthCurve:
    """Attacks the same images with one strength after the other and measures the sensitivity ratios.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits. It is never modified.
        images: the split; its first correctly classified images are attacked.
        attack: name in the catalogue, of an attack with the setting ``epsilon``.
        strengths: its values, in the attack's own range.
        settings: of the attack besides; those not given take their defaults.
        layers: names of unit layers; None takes all weighted layers.
        activated: without ``layers``, whether the units are looked at after the activation.
        n_images: how many images.
        seed: of the attacks.
        folder: where attacked images are kept; None keeps nothing.
        progress: may raise Cancelled.

    Raises:
        InvalidInputError: for an attack without strength, or one that searches it; for no strengths, or a setting out
            of range.
    """
    if not strengths:
        raise InvalidInputError("strengths: expected at least one; got none.")
    given = dict(settings or {})
    if strength_of(attacks[attack].create(**given)) is None:
        raise InvalidInputError(
            f"{attack}: expected an attack with a fixed strength {PARAMETER!r}; it has none, or searches it."
        )
    methods = [attacks[attack].create(**{**given, PARAMETER: strength}) for strength in strengths]
    rows: list[list[float]] = []
    success: list[float] = []
    names: tuple[str, ...] = ()
    count = 0
    for number, method in enumerate(methods):
        begin, end = number / len(methods), (number + 1) / len(methods)
        middle = begin + 0.9 * (end - begin)
        pairs = attack_pairs(
            model, images, method, n_images=n_images, seed=seed, folder=folder, progress=span(progress, begin, middle)
        )
        found = unit_sensitivity(model, pairs, layers=layers, activated=activated, progress=span(progress, middle, end))
        rows.append([layer.mean_ratio for layer in found.layers])
        success.append(float(pairs.misled.mean()))
        names, count = tuple(layer.name for layer in found.layers), len(pairs)
    others = {name: value for name, value in methods[0].settings.items() if name != PARAMETER}
    return StrengthCurve(
        np.array([method.settings[PARAMETER] for method in methods], np.float64), names, np.array(rows),
        np.array(success), count, attack, others, seed,
    )  # fmt: skip


def strength_of(attack: Attack) -> float | None:
    """The fixed strength ε of an attack; None for one that has none, or that searches it for each image."""
    strength = attack.settings.get(PARAMETER)
    return None if strength is None or attack.settings.get("search") else float(strength)
