"""Where in images a unit reacts: its region of interest on the images that activate it most, and on attacked copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from dashboard.services.classifiers import Classifiers, LoadedClassifier
from dashboard.services.computations import Computations
from engine.attacks.pairs import correctly_classified
from engine.attacks.results import attack_once
from engine.attribution.segmentation import UnitProfile, segment, unit_profile
from engine.errors import InvalidInputError
from engine.network.trace import trace
from engine.network.units import UnitLayer, unit_layers
from engine.progress import Progress, span
from engine.registry import Value

MOST_IMAGES = 1000
# Of large images fewer are looked at: so many numbers in all.
MOST_NUMBERS = 2**24
FEWEST_IMAGES = 100

Images = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class UnitRegions:
    """The region of interest of one unit on the S images that activate it most.

    Attributes:
        indices: (S,) places of the images in the test set, the strongest first.
        clean, adversarial: (S, C, H, W) the images and their attacked copies, in [0, 1].
        clean_regions, adversarial_regions: (S, H, W) where the unit's map is above its threshold.
        misled: (S,) whether the copy is given another class.
        threshold: activation above which a place counts.
        quantile: share of the unit's activations, over all images looked at, that is not above the threshold.
        n_images: how many images were looked at.
    """

    indices: npt.NDArray[np.int64]
    clean: Images
    adversarial: Images
    clean_regions: Masks
    adversarial_regions: Masks
    misled: npt.NDArray[np.bool_]
    threshold: float
    quantile: float
    n_images: int


@dataclass(frozen=True, slots=True, eq=False)
class _Profile:
    """How the units of a layer react, and to which images of the test set (N,)."""

    profile: UnitProfile
    indices: npt.NDArray[np.int64]


class Regions:
    """Computes and keeps regions of interest.

    Each method raises :class:`~dashboard.services.computations.Pending` while its result is not there yet.
    """

    def __init__(self, classifiers: Classifiers, computations: Computations, folder: Path) -> None:
        """Uses the given classifiers; attacked images are kept in ``folder``."""
        self._classifiers = classifiers
        self._computations = computations
        self._folder = folder

    def layer(self, model: str, name: str) -> UnitLayer:
        """A layer's units after its activation.

        Raises:
            InvalidInputError: if the model has no such layer.
        """
        loaded = self._classifiers.get(model)
        loaded.classifier.require_sound()
        key = ("unit layers", loaded.classifier.key)
        layers = self._computations.get(key, lambda _: _layers(loaded))
        if name not in layers:
            raise InvalidInputError(f"layer: {model} has the layers {', '.join(layers)}; got {name[:60]!r}.")
        return layers[name]

    def find(
        self, model: str, name: str, unit: int, attack: str, settings: Mapping[str, Value], seed: int
    ) -> UnitRegions:
        """The regions of a unit of a convolution, after its activation.

        Args:
            model: name of a classifier.
            name: of the layer.
            unit: its number.
            attack: name of the attack that makes the copies.
            settings: all its settings by name.
            seed: of the attack.

        Raises:
            EngineError: if there is no such unit, or the attack cannot run.
        """
        seen = self._profile(model, name)
        units = len(seen.profile.thresholds)
        if not 0 <= unit < units:
            raise InvalidInputError(f"unit: {name} has the units 0 to {units - 1}; got {unit}.")
        loaded = self._classifiers.get(model)
        chosen = (attack, tuple(sorted(settings.items())), seed)
        return self._computations.get(
            ("regions", loaded.classifier.key, loaded.dataset.key, seen.profile.layer, unit, chosen),
            lambda progress: self._find(loaded, seen, unit, attack, settings, seed, progress),
        )

    def reacting(self, model: str, name: str) -> npt.NDArray[np.bool_]:
        """(U,) whether a unit of a convolution has a region at all: some are the same on every image.

        Raises:
            InvalidInputError: if the model has no such convolution.
        """
        profile = self._profile(model, name).profile
        return profile.peaks.max(axis=1) > profile.thresholds

    def _profile(self, model: str, name: str) -> _Profile:
        layer = self.layer(model, name)
        if not layer.is_convolution:
            raise InvalidInputError(f"layer: {name} is linear; its units have no place in the image.")
        loaded = self._classifiers.get(model)
        key = ("unit profile", loaded.classifier.key, loaded.dataset.key, layer.name)
        return self._computations.get(key, lambda progress: _look(loaded, layer.name, progress))

    def _find(
        self, loaded: LoadedClassifier, seen: _Profile, unit: int, attack: str, settings: Mapping[str, Value],
        seed: int, progress: Progress,
    ) -> UnitRegions:  # fmt: skip
        model, profile = loaded.classifier.module, seen.profile
        indices = seen.indices[profile.strongest[unit]]
        clean, labels = loaded.dataset.test.images(indices), loaded.dataset.test.labels[indices]
        made = attack_once(
            self._classifiers.attacks[attack].create(**settings), model, clean, labels, folder=self._folder, seed=seed,
            progress=progress,
        )  # fmt: skip
        both = torch.cat([clean, torch.from_numpy(made.adversarial)])
        regions = segment(model, both, profile, np.array([unit])).regions[:, 0]
        count = len(indices)
        return UnitRegions(
            indices, clean.numpy(), made.adversarial, regions[:count], regions[count:],
            np.not_equal(made.predictions_after, labels), float(profile.thresholds[unit]), profile.quantile,
            profile.n_images,
        )  # fmt: skip


def _layers(loaded: LoadedClassifier) -> dict[str, UnitLayer]:
    network = trace(loaded.classifier.module, loaded.classifier.image_shape)
    return {each.layer: each for each in unit_layers(network, activated=True)}


def _look(loaded: LoadedClassifier, layer: str, progress: Progress) -> _Profile:
    """Profiles all units of a layer on the first test images that are classified correctly."""
    model, test = loaded.classifier.module, loaded.dataset.test
    count = min(MOST_IMAGES, max(FEWEST_IMAGES, MOST_NUMBERS // int(np.prod(loaded.classifier.image_shape))))
    progress(0.0, "choosing test images")
    indices = correctly_classified(model, test, count)
    if not len(indices):
        raise InvalidInputError("expected a model that classifies some images correctly; it gets none right.")
    profile = unit_profile(model, test.images(indices), layer, progress=span(progress, 0.1, 1.0))
    return _Profile(profile, indices)
