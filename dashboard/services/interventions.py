"""The route of an attack through one image, and what changing units of it does: each computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from dashboard.selection import Selection
from dashboard.services.classifiers import Classifiers, LoadedClassifier
from dashboard.services.computations import Computations
from dashboard.services.inspection import Inspection, Inspections
from engine.attribution.grad_cam import split_grad_cam
from engine.errors import InvalidInputError
from engine.network.trace import Network
from engine.network.units import UnitLayer, check_units
from engine.paths.extraction import EffectivePath
from engine.paths.path import Path, n_common
from engine.progress import Progress
from engine.route.connections import connections
from engine.route.layers import route_layers
from engine.route.live import Intervened, InterventionKind, intervene
from engine.route.routes import instance_routes

Units = Mapping[str, npt.NDArray[np.int64]]
Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """What the model says while units are changed.

    Attributes:
        clean, adversarial: (K,) probabilities of the image and of its attacked copy.
    """

    clean: Probabilities
    adversarial: Probabilities


@dataclass(frozen=True, slots=True, eq=False)
class PathChange:
    """The effective path of the attacked image, without and with units changed; each from the class it is called.

    Attributes:
        before, after: the two paths.
        counts: (L, 3) synapses of each layer: only before, of both, only after.
    """

    before: Path
    after: Path
    counts: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SplitMaps:
    """Grad-CAM of the image and of its attacked copy, over the units of the copy's route and over the others.

    Attributes:
        layer: the convolution whose units are split, the last one.
        units: those on the route.
        classes: (2,) what the model calls the image and its copy; each map is of that class.
        chosen, others: (2, H, W) the image's and the copy's maps, 0 or more.
        scale: largest value in any of the four.
    """

    layer: str
    units: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int64]
    chosen: npt.NDArray[np.float32]
    others: npt.NDArray[np.float32]
    scale: float


class NotConnectedError(InvalidInputError):
    """There are no weights between the units whose connections are to be weakened."""


class Interventions:
    """Computes and keeps what the Route page shows of one image.

    Each method raises :class:`~dashboard.services.computations.Pending` while its result is not there yet, and
    EngineError if it cannot be computed. Layers are named as the model names them, without ``:act``.
    """

    def __init__(self, classifiers: Classifiers, inspections: Inspections, computations: Computations) -> None:
        """Uses the given services."""
        self._classifiers = classifiers
        self._inspections = inspections
        self._computations = computations

    def layers(self, model: str) -> tuple[UnitLayer, ...]:
        """The layers a route runs through, in execution order: the convolutions, after their activation."""
        loaded = self._classifiers.get(model)
        loaded.classifier.require_sound()
        key = ("route layers", loaded.classifier.key)
        return self._computations.get(key, lambda _: route_layers(_network(loaded, 0.5)))

    def route(self, selection: Selection) -> Units:
        """The units on the route of the attacked copy, by layer; the loss is that of the true class."""
        loaded, view = self._seen(selection)
        layers = self.layers(selection.model)
        share = selection.unit_form.instance
        key = ("image route", loaded.classifier.key, view.adversarial.key, view.true_class, share)

        def find(progress: Progress) -> Units:
            found = instance_routes(
                loaded.classifier.module, _batch(view.adversarial.pixels), torch.tensor([view.true_class]),
                share=share, progress=progress,
            )  # fmt: skip
            return {layer.layer: np.flatnonzero(found.chosen[layer.name][0]) for layer in layers}

        return self._computations.get(key, find)

    def intervened(self, selection: Selection) -> Changed | None:
        """What the model says with the picked units changed; None where none are picked.

        Raises:
            InvalidInputError: for units that the model does not have.
            NotConnectedError: for units to weaken between which there are no weights.
        """
        if not selection.picked:
            return None
        loaded, view = self._seen(selection)
        chosen = self._chosen(selection)
        key = ("intervened", *_what(loaded, view, selection))

        def run(_progress: Progress) -> Changed:
            found = _intervene(loaded, view, chosen, selection)
            return Changed(*[_softmax(logits[0]) for logits in (found.clean_after, found.adversarial_after)])

        return self._computations.get(key, run)

    def path_change(self, selection: Selection) -> PathChange | None:
        """How the effective path of the attacked image changes with the picked units; None where none are picked."""
        if not selection.picked:
            return None
        loaded, view = self._seen(selection)
        chosen = self._chosen(selection)
        before = self._inspections.path(selection, view.adversarial, 1)
        key = ("path change", *_what(loaded, view, selection), selection.theta)

        def extract(_progress: Progress) -> PathChange:
            self._classifiers.wait_for_kernels()
            change = _intervene(loaded, view, chosen, selection).adversarial
            extractor = EffectivePath(loaded.classifier.module, selection.theta, intervention=change)
            after = extractor.extract(_batch(view.adversarial.pixels))[0]
            return PathChange(before, after, _counts(before, after))

        return self._computations.get(key, extract)

    def split_maps(self, selection: Selection) -> SplitMaps:
        """Grad-CAM of the last convolution, split by the route of the attacked copy."""
        loaded, view = self._seen(selection)
        last = self.layers(selection.model)[-1]
        units = self.route(selection)[last.layer]
        key = ("split maps", loaded.classifier.key, view.clean.key, view.adversarial.key, last.layer, tuple(units))

        def explain(progress: Progress) -> SplitMaps:
            images = torch.from_numpy(np.stack([view.clean.pixels, view.adversarial.pixels]))
            classes = np.array([view.clean.ranking[0], view.adversarial.ranking[0]], dtype=np.int64)
            found = split_grad_cam(loaded.classifier.module, images, classes, units, layer=last.name, progress=progress)
            return SplitMaps(last.layer, units, classes, found.chosen, found.others, float(found.scale.max()))

        return self._computations.get(key, explain)

    def _seen(self, selection: Selection) -> tuple[LoadedClassifier, Inspection]:
        return self._classifiers.get(selection.model), self._inspections.inspect(selection)

    def _chosen(self, selection: Selection) -> dict[str, npt.NDArray[np.int64]]:
        """The picked units by unit layer's name, as the engine takes them."""
        layers = {layer.layer: layer for layer in self.layers(selection.model)}
        found: dict[str, npt.NDArray[np.int64]] = {}
        for name, units in selection.picked:
            if name not in layers:
                raise InvalidInputError(
                    f"picked: the route has the layers {', '.join(layers)}; got {name[:60]!r}. Clear the units below."
                )
            check_units(layers[name], units)
            full = layers[name].name
            found[full] = np.union1d(found.get(full, ()), np.array(units, dtype=np.int64)).astype(np.int64)
        return found


def kept_factor(selection: Selection) -> float:
    """What is left of the picked units: a transplant replaces them wholly."""
    return 0.0 if selection.act == "transplant" else selection.factor


def _what(loaded: LoadedClassifier, view: Inspection, selection: Selection) -> Sequence[object]:
    """What an intervention depends on."""
    images = (view.clean.key, view.adversarial.key)
    return (loaded.classifier.key, *images, selection.picked, selection.act, kept_factor(selection))


def _intervene(loaded: LoadedClassifier, view: Inspection, chosen: Units, selection: Selection) -> Intervened:
    network = _network(loaded, selection.theta)
    if selection.act == "weaken" and not any(
        link.weights_between(chosen).any() for link in connections(network) if link.within(chosen)
    ):
        raise NotConnectedError(
            "There are no weights between the chosen units. Choose units of a layer and of the layer that reads it."
        )
    kind: InterventionKind = selection.act  # type: ignore[assignment]  # the selection has checked it
    images = (_batch(view.clean.pixels), _batch(view.adversarial.pixels))
    return intervene(network, *images, chosen, kind, kept_factor(selection))


def _network(loaded: LoadedClassifier, theta: float) -> Network:
    return loaded.extractor(theta).network(loaded.classifier.image_shape)


def _batch(pixels: npt.NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(pixels)[None]


def _softmax(logits: npt.NDArray[np.float64]) -> Probabilities:
    if not np.isfinite(logits).all():
        raise InvalidInputError("With these units changed the model answers NaN or infinity.")
    return torch.softmax(torch.from_numpy(logits), 0).numpy()


def _counts(before: Path, after: Path) -> npt.NDArray[np.int64]:
    rows = []
    for layer in before.layers:
        both = n_common(before.synapses[layer], after.synapses[layer])
        rows.append((len(before.synapses[layer]) - both, both, len(after.synapses[layer]) - both))
    return np.array(rows, dtype=np.int64)
