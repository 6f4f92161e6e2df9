"""What hardening changes inside: how far an attack moves the units, and which synapses the classes use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.attacks.base import Attack
from engine.attacks.pairs import attack_pairs, correctly_classified
from engine.attacks.pgd_linf import PGDLinf
from engine.datasets.dataset import Dataset
from engine.errors import InvalidInputError
from engine.hardening.images import ChosenImages, fixed_subset
from engine.hardening.settings import WATCHED, preset_name
from engine.network.classifiers import Classifier
from engine.network.trace import Network, trace
from engine.network.units import unit_layers
from engine.paths.aggregation import ClassPaths
from engine.paths.class_paths import compute_class_paths
from engine.plain import plain
from engine.progress import Progress, silent, span
from engine.registry import Value
from engine.sensitivity.measuring import LayerSensitivity, unit_sensitivity
from engine.version import VERSION

#: PGD as the papers run it: ten steps of ε/√10.
STEPS = 10
RELATIVE_STEP = 0.3162
DIGITS = 9


@dataclass(frozen=True, slots=True, eq=False)
class InnerView:
    """What is seen inside one model.

    Attributes:
        model, label: its name, and what a person reads.
        layers: sensitivity of the units of its convolutions, in execution order, before the activation; of all weighted
            layers for a model without convolutions.
        misled: share of the attacked copies that are given another class, 0 to 1.
        class_paths: of the training images that it classifies correctly; empty for a class with none of them.
    """

    model: str
    label: str
    layers: tuple[LayerSensitivity, ...]
    misled: float
    class_paths: ClassPaths

    @property
    def similarity(self) -> float:
        """Mean class similarity J of all pairs of different classes; NaN where no two classes have a path."""
        found = off_diagonal(self.class_paths)
        return float(found.mean()) if len(found) else float("nan")

    def report(self) -> dict[str, Any]:
        """Everything in plain values; what has no value is null."""
        overall = self.class_paths.overall()
        values: dict[str, Any] = plain(
            {
                "model": self.model, "label": self.label, "misled": self.misled,
                "sensitivity": [
                    {"layer": layer.name, "mean": layer.values.mean(), "units": layer.values} for layer in self.layers
                ],
                "paths": {
                    "images": self.class_paths.counts.sum(),
                    "density": overall.density(), "density_per_layer": overall.density_per_layer(),
                    "similarity": self.similarity,
                },
            },
            DIGITS,
        )  # fmt: skip
        return values


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """Several models seen from inside, each under the attack made for itself, on the same images.

    Attributes:
        views: in the order of the models.
        attack: name of the attack.
        settings: its settings by name.
        n_pairs: how many test images, all of which every model classifies correctly without the attack.
        path_images: how many training images the class paths were taken from, if they were classified correctly.
        theta: share of each neuron's value that a path explains.
        seed: of the attack.
    """

    views: tuple[InnerView, ...]
    attack: str
    settings: Mapping[str, Value]
    n_pairs: int
    path_images: int
    theta: float
    seed: int

    def report(self) -> dict[str, Any]:
        """Everything in plain values; what has no value is null."""
        settings = plain({"attack_settings": self.settings})
        return {
            "version": VERSION, "attack": self.attack, **settings, "pairs": self.n_pairs,
            "path_images": self.path_images, "theta": self.theta, "seed": self.seed,
            "models": [view.report() for view in self.views],
        }  # fmt: skip


def usual_attack(data: Dataset) -> PGDLinf:
    """PGD L∞ as in the papers, of the strength that robust accuracy on such images is watched at."""
    return PGDLinf(epsilon=WATCHED[preset_name(data)], steps=STEPS, relative_step=RELATIVE_STEP)


def inner_effects(
    classifiers: Sequence[Classifier],
    data: Dataset,
    *,
    attack: Attack | None = None,
    n_images: int = 200,
    path_images: int = 300,
    theta: float = 0.5,
    seed: int = 0,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Effects:
    """Looks into several models, such as a plain and a hardened one (Zhang et al. 2020, figure 17).

    Each model is attacked by itself, as there. The images are those that all of them classify correctly, so that the
    means are over the same ones; the paper does not say what it did with the others.

    Args:
        classifiers: with names of their own, made for the data set; left as they were.
        data: whose test images are attacked, and whose training images the class paths come from.
        attack: run untargeted; :func:`usual_attack` if None.
        n_images: the first so many test images are looked through.
        path_images: training images for the class paths, the same for every model; fewer if there are not so many.
        theta: of the paths.
        seed: of the attack.
        folder: where attacked images are kept for the next time; None keeps nothing.
        progress: may raise Cancelled.

    Raises:
        InvalidInputError: if a model is damaged or does not take the images, two share a name, or there is no image
            that all of them classify correctly.
    """
    _require_comparable(classifiers, data)
    attack = usual_attack(data) if attack is None else attack
    common = ChosenImages(data.test, _right_in_all(classifiers, data, n_images))
    trained = fixed_subset(data.train, min(path_images, len(data.train)))
    views = []
    for number, classifier in enumerate(classifiers):
        part = span(progress, number / len(classifiers), (number + 1) / len(classifiers))
        pairs = attack_pairs(
            classifier.module, common, attack, n_images=len(common), seed=seed, folder=folder,
            progress=span(part, 0.0, 0.4),
        )  # fmt: skip
        names = _looked_at(trace(classifier.module, data.image_shape))
        found = unit_sensitivity(classifier.module, pairs, layers=names, progress=span(part, 0.4, 0.5))
        paths = compute_class_paths(
            classifier.module, trained, data.classes, theta=theta, progress=span(part, 0.5, 1.0)
        )
        views.append(InnerView(classifier.name, classifier.label, found.layers, float(pairs.misled.mean()), paths))
    return Effects(tuple(views), attack.name, attack.settings, len(common), len(trained), theta, seed)


def off_diagonal(class_paths: ClassPaths) -> npt.NDArray[np.float64]:
    """J of every pair of different classes, each once, without the pairs of which one has no path; at most K(K−1)/2."""
    matrix = class_paths.similarity()
    pairs: npt.NDArray[np.float64] = matrix[np.triu_indices(len(matrix), k=1)]
    return pairs[~np.isnan(pairs)]


def _require_comparable(classifiers: Sequence[Classifier], data: Dataset) -> None:
    names = [classifier.name for classifier in classifiers]
    if not names or len(set(names)) < len(names):
        raise InvalidInputError(f"models: expected one or more, each under a name of its own; got {names}.")
    for classifier in classifiers:
        classifier.require_sound()
        if classifier.image_shape != data.image_shape or len(classifier.classes) != len(data.classes):
            raise InvalidInputError(
                f"{classifier.name}: expected a model for images of {data.image_shape} in {len(data.classes)} classes; "
                f"it is made for {classifier.image_shape} in {len(classifier.classes)}."
            )


def _right_in_all(classifiers: Sequence[Classifier], data: Dataset, n_images: int) -> npt.NDArray[np.int64]:
    """The places of those of the first test images that every model classifies correctly."""
    first = ChosenImages(data.test, np.arange(min(n_images, len(data.test))))
    right = [correctly_classified(classifier.module, first, len(first)) for classifier in classifiers]
    common: npt.NDArray[np.int64] = reduce(np.intersect1d, right)
    if not len(common):
        raise InvalidInputError(
            f"expected test images that all models classify correctly; among the first {len(first)} there is none. "
            "Compare more images, or leave out the model that gets next to nothing right."
        )
    return common


def _looked_at(network: Network) -> list[str]:
    layers = unit_layers(network)
    return [layer.name for layer in layers if layer.is_convolution] or [layer.name for layer in layers]
