"""What one unit does: its maps for an image and its attacked copy, its region of interest, what flows into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from dashboard.selection import THETA, Selection
from dashboard.services.classifiers import Classifiers, LoadedClassifier
from dashboard.services.computations import Computations
from dashboard.services.inspection import Inspections, Subject
from engine.attribution.grad_cam import GradCam, grad_cam
from engine.attribution.segmentation import UnitProfile, segment, unit_profile
from engine.errors import InvalidInputError
from engine.network.intervention import outputs_of
from engine.network.trace import Network
from engine.network.units import UnitLayer, check_units, unit_layers
from engine.paths.contributions import Incoming, incoming
from engine.progress import Progress

PROFILED = 1000
BOTH = ("clean", "adversarial")


@dataclass(frozen=True, slots=True, eq=False)
class UnitMaps:
    """The outputs of a layer's units for an image and its attacked copy.

    Attributes:
        layer: the units, after their activation where they have one of their own.
        clean, adversarial: (U, h, w); (U, 1, 1) for a linear layer.
    """

    layer: UnitLayer
    clean: npt.NDArray[np.float32]
    adversarial: npt.NDArray[np.float32]

    def require(self, unit: int) -> None:
        """Refuses a unit that the layer does not have.

        Raises:
            InvalidInputError: naming it.
        """
        check_units(self.layer, [unit])


@dataclass(frozen=True, slots=True, eq=False)
class Strongest:
    """The test images that a unit reacts to most.

    Attributes:
        indices: (S,) their places in the test set.
        pixels: (S, C, H, W) the strongest images of the unit.
        regions: (S, H, W) bool, where each of them is above the unit's threshold.
    """

    indices: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.float32]
    regions: npt.NDArray[np.bool_]


class UnitViews:
    """Computes and keeps what is shown of single units; raises Pending while a result is not there yet."""

    def __init__(self, classifiers: Classifiers, inspections: Inspections, computations: Computations) -> None:
        """Uses the given classifiers, inspections and computations."""
        self._classifiers = classifiers
        self._inspections = inspections
        self._computations = computations

    def maps(self, selection: Selection, layer: str, patience: float | None = None) -> UnitMaps:
        """The maps of a layer's units for the selection's image and its attacked copy; waits so many seconds for them.

        Raises:
            InvalidInputError: for a layer that the model does not have.
        """
        loaded, view = self._classifiers.get(selection.model), self._inspections.inspect(selection)

        def compute(_: Progress) -> UnitMaps:
            network = _network(loaded)
            where = _activated(network, layer)
            images = torch.from_numpy(np.stack([view.clean.pixels, view.adversarial.pixels]))
            values = outputs_of(network, images, [where])[where.node].float().numpy()
            values = values.reshape(*values.shape[:2], *(values.shape[2:] or (1, 1)))
            return UnitMaps(where, values[0], values[1])

        key = ("maps", loaded.classifier.key, view.clean.key, view.adversarial.key, layer)
        return self._computations.get(key, compute, patience)

    def regions(self, selection: Selection, layer: str, unit: int) -> Mapping[str, npt.NDArray[np.bool_]]:
        """The unit's region of interest (H, W) in the clean and in the attacked image.

        Raises:
            InvalidInputError: for a unit that the model does not have.
        """
        loaded, view = self._classifiers.get(selection.model), self._inspections.inspect(selection)
        profile = self.profile(selection.model, layer)
        self.maps(selection, layer).require(unit)
        images = torch.from_numpy(np.stack([view.clean.pixels, view.adversarial.pixels]))

        def compute(_: Progress) -> Mapping[str, npt.NDArray[np.bool_]]:
            found = segment(_network(loaded), images, profile, np.array([unit]))
            return dict(zip(BOTH, found.regions[:, 0], strict=True))

        key = ("regions", loaded.classifier.key, loaded.dataset.key, view.clean.key, view.adversarial.key, layer, unit)
        return self._computations.get(key, compute)

    def profile(self, model: str, layer: str) -> UnitProfile:
        """How a layer's units react to the first :data:`PROFILED` test images.

        Raises:
            InvalidInputError: for a layer that the model does not have.
        """
        loaded = self._classifiers.get(model)
        loaded.classifier.require_sound()

        def compute(progress: Progress) -> UnitProfile:
            network, test = _network(loaded), loaded.dataset.test
            images = test.images(np.arange(min(PROFILED, len(test))))
            return unit_profile(network, images, _activated(network, layer).name, progress=progress)

        return self._computations.get(("profile", loaded.classifier.key, loaded.dataset.key, layer), compute)

    def strongest(self, model: str, layer: str, unit: int) -> Strongest:
        """The test images that a unit reacts to most, among the first :data:`PROFILED`, and where in them.

        Raises:
            InvalidInputError: for a unit that the model does not have.
        """
        loaded, profile = self._classifiers.get(model), self.profile(model, layer)
        network = _network(loaded)
        check_units(_activated(network, layer), [unit])
        rows = profile.strongest[unit]

        def compute(_: Progress) -> Strongest:
            images = loaded.dataset.test.images(rows)
            return Strongest(rows, images.numpy(), segment(network, images, profile, np.array([unit])).regions[:, 0])

        return self._computations.get(("strongest", loaded.classifier.key, loaded.dataset.key, layer, unit), compute)

    def incoming(self, selection: Selection, subject: Subject, layer: str, unit: int) -> Incoming:
        """What flows into a unit along the path of an image.

        Raises:
            InvalidInputError: for a layer or a unit that the path does not have.
        """
        loaded = self._classifiers.get(selection.model)
        path = self._inspections.path(selection, subject, selection.rank)
        key = ("incoming", loaded.classifier.key, subject.key, selection.theta, selection.rank, layer, unit)
        image = torch.from_numpy(subject.pixels)
        return self._computations.get(
            key, lambda _: incoming(loaded.extractor(selection.theta), image, path, layer, unit)
        )

    def grad_cam(self, selection: Selection) -> GradCam:
        """Where the clean and the attacked image have their evidence, each for the class it is given."""
        loaded, view = self._classifiers.get(selection.model), self._inspections.inspect(selection)

        def compute(progress: Progress) -> GradCam:
            images = torch.from_numpy(np.stack([view.clean.pixels, view.adversarial.pixels]))
            classes = np.array([int(one.ranking[0]) for one in (view.clean, view.adversarial)])
            return grad_cam(_network(loaded), images, classes, progress=progress)

        return self._computations.get(
            ("grad-cam", loaded.classifier.key, view.clean.key, view.adversarial.key), compute
        )


def _network(loaded: LoadedClassifier) -> Network:
    """The traced model; the extractor of the usual θ keeps it."""
    return loaded.extractor(float(THETA.default)).network(loaded.classifier.image_shape)


def _activated(network: Network, layer: str) -> UnitLayer:
    """The units of a layer, after their activation where they have one of their own.

    Raises:
        InvalidInputError: for a layer that there is not.
    """
    found = next((one for one in unit_layers(network, activated=True) if one.layer == layer), None)
    if found is None:
        known = ", ".join(one.layer for one in unit_layers(network))
        raise InvalidInputError(f"unit: expected one of a layer among {known}; got one of {layer[:60]!r}.")
    return found
