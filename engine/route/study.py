"""A study of a model's route under one attack: the route, what sets its units apart, and the experiments on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from engine.attacks.base import Attack
from engine.attacks.catalogue import attacks
from engine.attacks.pairs import Pairs, attack_pairs
from engine.attacks.results import attack_once
from engine.datasets.dataset import Dataset
from engine.errors import InvalidInputError
from engine.network.classifiers import Classifier
from engine.network.trace import trace
from engine.progress import Progress, silent, span
from engine.registry import Value
from engine.route.contrast import LayerContrast, contrast
from engine.route.experiments import BETAS, DRAWS, deactivation, transplant, weakening
from engine.route.gradients import unit_gradients
from engine.route.hardness import GROUPS, Hardness, Survival, hardness, survival_by_hardness
from engine.route.influence import check_share
from engine.route.layers import route_layers
from engine.route.outcomes import Deactivation, Transplant, Weakening
from engine.route.routes import KEPT, SHARE, ModelRoute, model_route
from engine.sensitivity.measuring import unit_sensitivity

T = TypeVar("T")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """What is done.

    Attributes:
        attack: name in the attack catalogue.
        attack_settings: of the attack; those not given take their defaults.
        n_images: test images, the first that are classified correctly; the experiments are made on them.
        route_images: training images, likewise; the route is made from their attacked copies.
        share: of a layer's units on the route of an image, above 0, up to 1.
        kept: of a layer's units on the route of the model, above 0, up to 1.
        betas: factors that connections are weakened by, 0 to 1.
        draws: controls of each experiment.
        groups: of images, from easy to hard.
        fgsm_epsilon: of the attack that hardness is judged by, 0 to 1; None takes 0.1 for images of one channel, 2/255
            for others.
        seed: of the attacks and the controls.

    Raises:
        InvalidInputError: for a value out of range.
    """

    attack: str = "pgd_linf"
    attack_settings: Mapping[str, Value] = field(default_factory=dict)
    n_images: int = 200
    route_images: int = 500
    share: float = SHARE
    kept: float = KEPT
    betas: tuple[float, ...] = BETAS
    draws: int = DRAWS
    groups: int = GROUPS
    fgsm_epsilon: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_share("share", self.share)
        check_share("kept", self.kept)
        for name, count in (("images", self.n_images), ("route images", self.route_images), ("draws", self.draws),
                            ("groups", self.groups)):  # fmt: skip
            if count < 1:
                raise InvalidInputError(f"{name}: expected at least 1; got {count}.")
        if not self.betas or not all(0 <= beta <= 1 for beta in self.betas):
            raise InvalidInputError(f"betas: expected one or more factors from 0 to 1; got {self.betas}.")

    def make_attack(self) -> Attack:
        """The attack with its settings."""
        return attacks[self.attack].create(**self.attack_settings)

    def make_fgsm(self, channels: int) -> Attack:
        """The attack that hardness is judged by, for images of so many channels."""
        usual = 0.1 if channels == 1 else 2 / 255
        return attacks["fgsm"].create(epsilon=usual if self.fgsm_epsilon is None else self.fgsm_epsilon)


@dataclass(frozen=True, slots=True, eq=False)
class RouteStudy:
    """What came of it.

    Attributes:
        settings: what was done.
        route: of attacked training images.
        pairs: the test images that all else was measured on.
        sensitivity: by layer's name, (U,) of each unit (Zhang et al. 2020), after activation.
        gradients: by layer's name, (U,) mean Σ|∂loss/∂s| over the clean test images.
        sensitivity_contrast, gradient_contrast: the two, on the route against off it, by layer.
        transplant, deactivation, weakening: the experiments.
        hardness: of the clean test images.
        survival: of FGSM, by hardness.
        fgsm_epsilon: its ε.
        seconds: what each part took.
    """

    settings: RouteSettings
    route: ModelRoute
    pairs: Pairs
    sensitivity: Mapping[str, Floats]
    gradients: Mapping[str, Floats]
    sensitivity_contrast: tuple[LayerContrast, ...]
    gradient_contrast: tuple[LayerContrast, ...]
    transplant: Transplant
    deactivation: tuple[Deactivation, ...]
    weakening: tuple[Weakening, ...]
    hardness: Hardness
    survival: Survival
    fgsm_epsilon: float
    seconds: Mapping[str, float]


def run_route(
    classifier: Classifier,
    dataset: Dataset,
    settings: RouteSettings,
    *,
    folder: Path | None = None,
    progress: Progress = silent,
) -> RouteStudy:
    """Finds the route of attacked training images, and makes the experiments on test images and their attacked copies.

    Args:
        classifier: whose route it is.
        dataset: its data set.
        settings: what is done.
        folder: where attacked images are kept for the next study; None keeps nothing.
        progress: may raise Cancelled.

    Raises:
        InvalidInputError: for a model with a warning, without convolutions, or that gets no image right; for a setting
            of the attack out of range.
    """
    classifier.require_sound()
    return _Study(classifier, dataset, settings, folder, progress).run()


class _Study:
    """The parts of a study, in order, each with its share of the progress."""

    def __init__(
        self, classifier: Classifier, dataset: Dataset, settings: RouteSettings, folder: Path | None, progress: Progress
    ) -> None:
        self.model = classifier.module
        route_layers(trace(self.model, dataset.image_shape))  # says what is wrong before the attacks are run
        self.dataset = dataset
        self.settings = settings
        self.folder = folder
        self.progress = progress
        self.attack = settings.make_attack()
        self.fgsm = settings.make_fgsm(dataset.image_shape[0])
        self.seconds: dict[str, float] = {}

    def run(self) -> RouteStudy:
        settings, model = self.settings, self.model
        route = self._timed("route", 0.0, 0.35, self._route)
        pairs = self._timed("attack", 0.35, 0.5, self._pairs)
        chosen, experiment = route.chosen, {"draws": settings.draws, "seed": settings.seed}
        measured = self._timed(
            "sensitivity",
            0.5,
            0.53,
            lambda report: unit_sensitivity(model, pairs, layers=list(chosen), progress=report),
        )
        gradients = self._timed(
            "gradients", 0.53, 0.56, lambda report: unit_gradients(model, pairs.clean, pairs.labels, progress=report)
        )
        sensitivity = {layer.name: layer.values for layer in measured.layers}
        means = {name: values.mean(axis=0) for name, values in gradients.items()}
        votes = hardness(gradients, chosen)
        found = RouteStudy(
            settings, route, pairs, sensitivity, means, contrast(sensitivity, chosen), contrast(means, chosen),
            self._timed("transplant", 0.56, 0.7, lambda report: transplant(
                model, pairs, chosen, progress=report, **experiment)),
            self._timed("deactivation", 0.7, 0.78, lambda report: deactivation(
                model, pairs, chosen, progress=report, **experiment)),
            self._timed("weakening", 0.78, 0.97, lambda report: weakening(
                model, pairs, chosen, betas=settings.betas, progress=report, **experiment)),
            votes,
            self._timed("hardness", 0.97, 1.0, lambda report: self._survival(pairs, votes, report)),
            float(self.fgsm.settings["epsilon"]), self.seconds,
        )  # fmt: skip
        self.progress(1.0, "done")
        return found

    def _route(self, progress: Progress) -> ModelRoute:
        """Made from training images, so that no image is judged by a route it helped to choose."""
        settings = self.settings
        attacked = attack_pairs(
            self.model, self.dataset.train, self.attack, n_images=settings.route_images, seed=settings.seed,
            folder=self.folder, progress=span(progress, 0.0, 0.5),
        )  # fmt: skip
        return model_route(
            self.model, attacked.adversarial, attacked.labels, share=settings.share, kept=settings.kept,
            progress=span(progress, 0.5, 1.0),
        )  # fmt: skip

    def _pairs(self, progress: Progress) -> Pairs:
        return attack_pairs(
            self.model, self.dataset.test, self.attack, n_images=self.settings.n_images, seed=self.settings.seed,
            folder=self.folder, progress=progress,
        )  # fmt: skip

    def _survival(self, pairs: Pairs, votes: Hardness, progress: Progress) -> Survival:
        result = attack_once(
            self.fgsm, self.model, pairs.clean, pairs.labels, folder=self.folder, seed=self.settings.seed,
            progress=progress,
        )  # fmt: skip
        return survival_by_hardness(result.success, votes.votes, self.settings.groups)

    def _timed(self, name: str, begin: float, end: float, work: Callable[[Progress], T]) -> T:
        started = time.perf_counter()
        self.progress(begin, name)
        found = work(span(self.progress, begin, end))
        self.seconds[name] = time.perf_counter() - started
        return found
