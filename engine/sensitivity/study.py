"""A study of one model's units under one attack: sensitivity, importance, agreement, suppression, strength, others."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from engine.attacks.base import Attack
from engine.attacks.catalogue import attacks
from engine.attacks.pairs import Pairs, attack_pairs
from engine.datasets.dataset import Dataset
from engine.errors import InvalidInputError
from engine.network.classifiers import Classifier
from engine.network.trace import trace
from engine.progress import Progress, silent, span
from engine.registry import Value
from engine.sensitivity.agreement import ClassAgreement, ImportanceAgreement, across_classes, against_importance
from engine.sensitivity.comparison import Comparison, compare
from engine.sensitivity.importance import VOTES, Importance, unit_importance
from engine.sensitivity.measuring import LayerSensitivity, Sensitivity, measure, unit_sensitivity
from engine.sensitivity.penultimate import penultimate_units
from engine.sensitivity.stream import PairStream
from engine.sensitivity.strength import StrengthCurve, ratio_by_strength, strength_of
from engine.sensitivity.suppression import BETAS, Suppression, check_suppression, suppress

#: Without strengths given, these parts of the attack's own.
PARTS = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class SensitivitySettings:
    """What is done.

    Attributes:
        attack: name in the attack catalogue.
        attack_settings: of the attack; those not given take their defaults.
        n_images: test images, the first that are classified correctly.
        activated: whether units are looked at after the activation.
        k: units each image votes for, and length of the lists that are compared.
        share: of the units of a layer that are damped, above 0, up to 1.
        betas: factors they are multiplied by, from 0 to 1.
        draws: controls of the suppression.
        strengths: values of ε to vary; None takes a quarter, half, three quarters and the whole of the attack's own,
            nothing for an attack without; an empty one leaves this out.
        seed: of the attack and the controls.

    Raises:
        InvalidInputError: for a value out of range.
    """

    attack: str = "pgd_linf"
    attack_settings: Mapping[str, Value] = field(default_factory=dict)
    n_images: int = 200
    activated: bool = False
    k: int = VOTES
    share: float = 0.1
    betas: tuple[float, ...] = BETAS
    draws: int = 3
    strengths: tuple[float, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_suppression(self.share, self.betas, self.draws)
        for name, value in (("images", self.n_images), ("k", self.k)):
            if value < 1:
                raise InvalidInputError(f"{name}: expected at least 1; got {value}.")

    def make_attack(self) -> Attack:
        """The attack with its settings."""
        return attacks[self.attack].create(**self.attack_settings)

    def chosen_strengths(self) -> tuple[float, ...]:
        """The strengths that are varied; none if the attack has none.

        Raises:
            InvalidInputError: for strengths given for an attack that has none, or searches them; for one out of range.
        """
        own = strength_of(self.make_attack())
        if self.strengths and own is None:
            raise InvalidInputError(
                f"strengths: expected an attack with a fixed strength ε; {self.attack} has none, or searches it."
            )
        if self.strengths is None:
            return () if own is None else tuple(dict.fromkeys(round(part * own, 12) for part in PARTS))
        for strength in self.strengths:
            attacks[self.attack].create(**{**self.attack_settings, "epsilon": strength})
        return self.strengths


@dataclass(frozen=True, slots=True, eq=False)
class ImportanceStudy:
    """The penultimate units.

    Attributes:
        importance: for the classes that copies were misled to.
        sensitivity: of the same units.
        agreement: of both, by class.
    """

    importance: Importance
    sensitivity: LayerSensitivity
    agreement: tuple[ImportanceAgreement, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SensitivityStudy:
    """What came of it.

    Attributes:
        settings: what was done.
        pairs: the images and their attacked copies.
        sensitivity: of the units of every layer.
        penultimate: importance of the penultimate units; None where the logits do not come from a linear layer.
        reason: why there is no importance; "" where there is.
        agreement: of the target classes, by layer.
        suppression: by layer, then of all at once.
        strength: ratios against strength; None for an attack without ε, or where it was left out.
        comparison: sensitivity of the other models to the same pairs.
        seconds: what each part took.
    """

    settings: SensitivitySettings
    pairs: Pairs
    sensitivity: Sensitivity
    penultimate: ImportanceStudy | None
    reason: str
    agreement: tuple[ClassAgreement, ...]
    suppression: tuple[Suppression, ...]
    strength: StrengthCurve | None
    comparison: Comparison
    seconds: Mapping[str, float]


def run_sensitivity(
    classifier: Classifier,
    dataset: Dataset,
    settings: SensitivitySettings,
    *,
    others: Sequence[Classifier] = (),
    folder: Path | None = None,
    progress: Progress = silent,
) -> SensitivityStudy:
    """Attacks test images and looks at what that does to the units.

    Args:
        classifier: whose units are looked at.
        dataset: its data set.
        settings: what is done.
        others: classifiers that see the same pairs.
        folder: where attacked images are kept for the next study; None keeps nothing.
        progress: may raise Cancelled.

    Raises:
        InvalidInputError: if a model has a warning or does not take the images, two others share a name, or a setting
            is out of range.
    """
    reason, strengths = _rehearse(classifier, dataset, settings, others), settings.chosen_strengths()
    model, seconds = classifier.module, dict[str, float]()
    with _timed(seconds, "attack"):
        pairs = attack_pairs(
            model, dataset.test, settings.make_attack(), n_images=settings.n_images, seed=settings.seed, folder=folder,
            progress=span(progress, 0.0, 0.3),
        )  # fmt: skip
    with _timed(seconds, "sensitivity"):
        found = unit_sensitivity(model, pairs, activated=settings.activated, progress=span(progress, 0.3, 0.35))
        agreement = tuple(across_classes(layer, settings.k) for layer in found.layers)
    with _timed(seconds, "importance"):
        penultimate = None if reason else _importance(classifier, pairs, settings.k, span(progress, 0.35, 0.4))
    with _timed(seconds, "suppression"):
        suppression = suppress(
            model, pairs, found, share=settings.share, betas=settings.betas, draws=settings.draws, seed=settings.seed,
            progress=span(progress, 0.4, 0.65),
        )  # fmt: skip
    with _timed(seconds, "strength"):
        strength = _strength(classifier, dataset, settings, strengths, folder, span(progress, 0.65, 0.95))
    with _timed(seconds, "other models"):
        modules = {other.name: other.module for other in others}
        comparison = compare(modules, pairs, activated=settings.activated, progress=span(progress, 0.95, 1.0))
    progress(1.0, "done")
    return SensitivityStudy(
        settings, pairs, found, penultimate, reason, agreement, suppression, strength, comparison, seconds
    )


def _rehearse(
    classifier: Classifier, dataset: Dataset, settings: SensitivitySettings, others: Sequence[Classifier]
) -> str:
    """Lets what cannot be measured say so before the attack is run; gives the reason if importance cannot be."""
    names = [other.name for other in others]
    if len(set(names)) < len(names):
        raise InvalidInputError(f"other models: expected each under a name of its own; got {', '.join(names)}.")
    for each in (classifier, *others):
        each.require_sound()
        if each.image_shape != dataset.image_shape:
            raise InvalidInputError(
                f"{each.name}: expected a model for images of shape {dataset.image_shape} (C, H, W); "
                f"it takes {each.image_shape}."
            )
        network = trace(each.module, dataset.image_shape)
        if network.n_classes < len(dataset.classes):
            raise InvalidInputError(
                f"{each.name}: expected a model with the {len(dataset.classes)} classes of {dataset.name}; "
                f"it has {network.n_classes}."
            )
    settings.make_attack()
    try:
        penultimate_units(trace(classifier.module, dataset.image_shape))
    except InvalidInputError as error:
        return str(error)
    return ""


def _importance(classifier: Classifier, pairs: Pairs, k: int, progress: Progress) -> ImportanceStudy:
    importance = unit_importance(classifier.module, pairs, k=k, progress=span(progress, 0.0, 0.5))
    stream = PairStream(pairs)
    network = trace(classifier.module, stream.image_shape)
    layers = (penultimate_units(network).layer,)
    layer = measure(network, layers, stream, progress=span(progress, 0.5, 1.0)).layers[0]
    return ImportanceStudy(importance, layer, against_importance(layer, importance))


def _strength(
    classifier: Classifier, dataset: Dataset, settings: SensitivitySettings, strengths: tuple[float, ...],
    folder: Path | None, progress: Progress,
) -> StrengthCurve | None:  # fmt: skip
    if not strengths:
        return None
    return ratio_by_strength(
        classifier.module, dataset.test, settings.attack, strengths, settings=settings.attack_settings,
        activated=settings.activated, n_images=settings.n_images, seed=settings.seed, folder=folder, progress=progress,
    )  # fmt: skip


@contextmanager
def _timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[what] = time.perf_counter() - started
