"""Several models on the same pairs, such as a plain and a hardened one (Zhang et al. 2020, figures 10 to 13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from torch import nn

from engine.attacks.pairs import Pairs
from engine.network.intervention import Intervention, run_changed
from engine.network.trace import trace
from engine.progress import Progress, silent, span
from engine.registry import Value
from engine.sensitivity.measuring import Sensitivity, unit_sensitivity
from engine.sensitivity.stream import PairStream


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The sensitivity of several models to the same images and attacked copies.

    Attributes:
        models: by model's name; each has layers of its own.
        misled: by model's name, the share of the attacked copies that it does not give their label, 0 to 1.
        n_pairs: N, how many pairs.
        attack: name of the attack.
        settings: its settings by name.
        seed: of its random choices.
    """

    models: Mapping[str, Sensitivity]
    misled: Mapping[str, float]
    n_pairs: int
    attack: str
    settings: Mapping[str, Value]
    seed: int


def compare(
    models: Mapping[str, nn.Module],
    pairs: Pairs,
    *,
    layers: Sequence[str] | None = None,
    activated: bool = False,
    progress: Progress = silent,
) -> Comparison:
    """Measures the sensitivity of several models to the same pairs.

    The copies were made for one of the models, or for none of them; what class a copy is misled to is for each model
    its own answer.

    Args:
        models: by name; each maps (N, C, H, W) in [0, 1] to logits. None is modified.
        pairs: images and attacked copies.
        layers: names of unit layers that all models have; None takes all weighted layers of each.
        activated: without ``layers``, whether the units are looked at after the activation.
        progress: may raise Cancelled.

    Raises:
        InvalidInputError: if a model does not take the images, or lacks a layer.
    """
    found, misled = {}, {}
    for number, (name, model) in enumerate(models.items()):
        report = span(progress, number / len(models), (number + 1) / len(models))
        own = replace(pairs, predictions=_predictions(model, pairs, span(report, 0.0, 0.3)))
        found[name] = unit_sensitivity(model, own, layers=layers, activated=activated, progress=span(report, 0.3, 1.0))
        misled[name] = float(own.misled.mean())
    return Comparison(found, misled, len(pairs), pairs.attack, pairs.settings, pairs.seed)


def _predictions(model: nn.Module, pairs: Pairs, progress: Progress) -> npt.NDArray[np.int64]:
    """The classes (N,) that a model gives the attacked copies."""
    stream = PairStream(pairs)
    network = trace(model, stream.image_shape)
    like = next(model.parameters())
    found = [
        run_changed(network, batch.adversarial.to(like), Intervention()).argmax(dim=1).cpu().numpy()
        for batch in stream.batches(network, "predictions", progress)
    ]
    return np.concatenate(found)
