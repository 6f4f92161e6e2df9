"""Routes of single images, and what they have in common: the route of the model (Li et al. 2020, section 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engine.attacks.inputs import Classes, Images, Inputs, checked_inputs
from engine.errors import InvalidInputError
from engine.network.state import evaluating
from engine.network.trace import Network
from engine.network.units import UnitLayer
from engine.progress import Progress, silent
from engine.route.gradients import batches_of, trace_for
from engine.route.influence import Sweep, Swept, check_share, count_of

SHARE = 0.2
KEPT = 0.3
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class InstanceRoutes:
    """The routes of N images. The mappings are by layer's name (``conv1:act``), in execution order.

    Attributes:
        layers: names of the layers, in execution order.
        chosen: (N, U) bool, the units of each image's route.
        influence: (N, U) of each unit on the chosen units of the next layers (for several, an upper bound: see
            :mod:`engine.route.influence`); for the last layer, by which it is chosen, its gradients.
        gradients: (N, U) Σ|∂loss/∂s| over a unit's elements.
        labels: (N,) the classes of the loss.
        share: of the units of a layer that are chosen.
    """

    layers: tuple[str, ...]
    chosen: Mapping[str, npt.NDArray[np.bool_]]
    influence: Mapping[str, Floats]
    gradients: Mapping[str, Floats]
    labels: npt.NDArray[np.int64]
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class LayerRoute:
    """One layer of a model's route.

    Attributes:
        name: of the unit layer.
        shape: (U, H, W) of its output.
        occurrence: (U,) share of the images whose route has the unit, 0 to 1.
        order: (U,) int64, units from the most to the least frequent, of equal ones the lower id first.
        chosen: sorted int64 ids of the units on the model's route.
        gradients: (U,) mean over the images of Σ|∂loss/∂s| over the unit's elements.
    """

    name: str
    shape: tuple[int, ...]
    occurrence: Floats
    order: npt.NDArray[np.int64]
    chosen: npt.NDArray[np.int64]
    gradients: Floats

    @property
    def units(self) -> int:
        """U, the number of units."""
        return len(self.occurrence)

    @property
    def mean_occurrence(self) -> float:
        """Mean occurrence of the chosen units (Li et al. 2020, table 1), 0 to 1."""
        return float(self.occurrence[self.chosen].mean())


@dataclass(frozen=True, slots=True, eq=False)
class ModelRoute:
    """The route of a model.

    Attributes:
        layers: in execution order.
        share: of a layer's units on the route of one image.
        kept: of a layer's units on the route of the model.
        n_images: how many images it was made from.
    """

    layers: tuple[LayerRoute, ...]
    share: float
    kept: float
    n_images: int

    @property
    def chosen(self) -> dict[str, npt.NDArray[np.int64]]:
        """By layer's name, the sorted ids of the units on the route."""
        return {layer.name: layer.chosen for layer in self.layers}

    @property
    def sizes(self) -> dict[str, int]:
        """By layer's name, the number of its units, on the route or not."""
        return {layer.name: layer.units for layer in self.layers}


def instance_routes(
    model: nn.Module, images: Images, labels: Classes, *, share: float = SHARE, progress: Progress = silent
) -> InstanceRoutes:
    """The route of each image (Li et al. 2020, equations 1 to 6).

    In the last convolution the share of units with the largest Σ|∂loss/∂s|, loss being cross-entropy to the label;
    before it, layer by layer, the share with the largest influence on the chosen units of the next layer.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits. It is left as it was.
        images: (N, C, H, W) in [0, 1]; attacked ones show the attack's route.
        labels: (N,) true classes, also of attacked images.
        share: of each layer's units, above 0, up to 1, rounded up; of equal units those of lower id.
        progress: called after every batch; may raise Cancelled.

    Raises:
        InvalidInputError: for images, labels or a share out of range, or a model without convolutions.
        UnsupportedOperationError: for a model that cannot be traced.
    """
    inputs = checked_inputs(images, labels, None)
    parts = []
    with torch.inference_mode(False), evaluating(model):
        network = trace_for(model, inputs)
        sweep = Sweep(network, share)
        for rows, batch in batches_of(network, inputs):
            parts.append(sweep(batch))
            progress(rows.stop / len(inputs.images), f"routes of {rows.stop:,} of {len(inputs.images):,} images")
    names = tuple(layer.name for layer in sweep.layers)
    return InstanceRoutes(
        names,
        {name: torch.cat([part.chosen[name] for part in parts]).cpu().numpy() for name in names},
        {name: torch.cat([part.influence[name] for part in parts]).cpu().numpy() for name in names},
        {name: torch.cat([part.gradients[name] for part in parts]).cpu().numpy() for name in names},
        inputs.labels.numpy(),
        share,
    )


def model_route(
    model: nn.Module,
    images: Images | Iterable[tuple[Images, Classes]],
    labels: Classes | None = None,
    *,
    share: float = SHARE,
    kept: float = KEPT,
    progress: Progress = silent,
) -> ModelRoute:
    """The units of each layer that are on the most routes of images (Li et al. 2020, equations 7 and 8).

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits. It is left as it was.
        images: (N, C, H, W) in [0, 1], with ``labels``; or any number of batches (images, labels), read one by one.
        labels: (N,) true classes; None for batches.
        share: of a layer's units on the route of an image; as in :func:`instance_routes`.
        kept: of a layer's units on the route of the model, above 0, up to 1, rounded up; of equal ones the lower ids.
        progress: called after every batch with the share of images done, 0 where unknown; may raise Cancelled.

    Raises:
        InvalidInputError: as :func:`instance_routes`, or without any image, or labels beside batches.
    """
    check_share("kept", kept)
    whole = isinstance(images, Tensor | np.ndarray)
    if whole == (labels is None):
        raise InvalidInputError("labels: expected one for each image, or None where the images come in batches.")
    given: Iterable[tuple[Images, Classes]] = [(images, labels)] if whole else images  # type: ignore[list-item]
    parts = len(given) if isinstance(given, Sized) else None
    sweep: Sweep | None = None
    count: _Count | None = None
    with torch.inference_mode(False), evaluating(model):
        for number, (some, classes) in enumerate(given):
            inputs = checked_inputs(some, classes, None)
            if sweep is None or count is None:
                network = trace_for(model, inputs)
                sweep = Sweep(network, share)
                count = _Count(sweep.layers)
            _require_fit(inputs, network)
            for rows, batch in batches_of(network, inputs):
                count.add(sweep(batch))
                done = 0.0 if parts is None else (number + rows.stop / len(inputs.images)) / parts
                progress(done, f"routes of {count.images:,} images")
    if count is None:
        raise InvalidInputError("images: expected at least one batch; got none.")
    return ModelRoute(count.layers(kept), share, kept, count.images)


def _require_fit(inputs: Inputs, network: Network) -> None:
    inputs.require_classes(network.n_classes)
    if tuple(inputs.images.shape[1:]) != network.image_shape:
        raise InvalidInputError(
            f"images: expected all batches of one shape, {network.image_shape} like the first; "
            f"got {tuple(inputs.images.shape[1:])}."
        )


@dataclass(slots=True)
class _Count:
    """How often each unit was on a route so far; its memory does not grow with the images."""

    of: tuple[UnitLayer, ...]
    images: int = 0
    times: dict[str, Floats] = field(default_factory=dict)
    gradients: dict[str, Floats] = field(default_factory=dict)

    def add(self, found: Swept) -> None:
        for layer in self.of:
            nothing = np.zeros(layer.units)
            times = found.chosen[layer.name].sum(dim=0).cpu().numpy()
            gradients = found.gradients[layer.name].sum(dim=0).cpu().numpy()
            self.times[layer.name] = self.times.get(layer.name, nothing) + times
            self.gradients[layer.name] = self.gradients.get(layer.name, nothing) + gradients
        self.images += len(next(iter(found.chosen.values())))

    def layers(self, kept: float) -> tuple[LayerRoute, ...]:
        routes = []
        for layer in self.of:
            order = np.argsort(-self.times[layer.name], kind="stable")
            routes.append(
                LayerRoute(
                    layer.name, layer.shape, self.times[layer.name] / self.images, order,
                    np.sort(order[: count_of(kept, layer.units)]), self.gradients[layer.name] / self.images,
                )
            )  # fmt: skip
        return tuple(routes)
