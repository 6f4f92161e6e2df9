"""Extracts effective paths: backwards from a logit through every operation (Qiu et al. 2019; definitions 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from engine.errors import InvalidInputError
from engine.network.freshness import model_state
from engine.network.intervention import Intervention
from engine.network.operations import Kind, LayerShape, Operation
from engine.network.recording import recording
from engine.network.trace import Network, trace
from engine.paths.layer_selection import Threads, select_in_layer
from engine.paths.map_kernels import select_in_pool, select_in_sum
from engine.paths.path import Path
from engine.paths.torch_selection import select_by_torch

_WORTH_A_THREAD = 100_000  # synapses of an image to take apart
_NEEDS_VALUES = (Kind.LAYER, Kind.MAX_POOL, Kind.AVERAGE_POOL, Kind.ADD)


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """What a batch of images selects in one layer.

    Attributes:
        synapses: ids of all images, ascending within each.
        begins: (N + 1,) where each image's ids begin.
        neurons: (N, number of neurons) bool, the active outputs.
    """

    synapses: np.ndarray
    begins: np.ndarray
    neurons: np.ndarray


class EffectivePath:
    """Extractor of effective paths for one model.

    The model is traced when the first images of a shape come, and again after its weights have changed. It is never
    modified.
    """

    def __init__(
        self,
        model: nn.Module,
        theta: float = 0.5,
        last_layers: int | None = None,
        intervention: Intervention | None = None,
    ) -> None:
        """Prepares extraction.

        Args:
            model: any traceable module that maps (N, C, H, W) in [0, 1] to logits.
            theta: share of each neuron's value to explain, 0 < θ ≤ 1.
            last_layers: stop after this many layers from the end; None for the full path.
            intervention: what is changed in the network while images run through it. The path below a unit whose
                output is edited explains the value it would have had.

        Raises:
            InvalidInputError: for θ or a number of layers out of range.
        """
        if not 0 < theta <= 1:
            raise InvalidInputError(f"theta: expected a number above 0, up to 1; got {theta}.")
        if last_layers is not None and last_layers < 1:
            raise InvalidInputError(f"last_layers: expected at least 1, or None for all; got {last_layers}.")
        self.model = model
        self.theta = float(theta)
        self.last_layers = last_layers
        self.intervention = intervention
        #: Threads that the selection uses; as many as torch does if None.
        self.threads: int | None = None
        self._traced: Network | None = None

    def network(self, image_shape: tuple[int, int, int]) -> Network:
        """The traced model for images of that shape, as its weights are now."""
        traced = self._traced
        if traced is None or traced.image_shape != image_shape or traced.state != model_state(self.model):
            traced = trace(self.model, image_shape)
            if self.intervention is not None:
                traced = self.intervention.applied(traced)
            self._traced = traced
        return traced

    def _network(self, image_shape: tuple[int, int, int]) -> Network:
        """The same, without looking through the weights again: each extraction looks once, when it records."""
        traced = self._traced
        return self.network(image_shape) if traced is None or traced.image_shape != image_shape else traced

    def layers(self, image_shape: tuple[int, int, int]) -> tuple[str, ...]:
        """Names of the layers that a path holds, in execution order."""
        names = self._network(image_shape).layers
        return names if self.last_layers is None else names[-self.last_layers :]

    def shapes(self, image_shape: tuple[int, int, int]) -> dict[str, LayerShape]:
        """Geometry of those layers."""
        kept = self.layers(image_shape)
        operations = self._network(image_shape).operations.values()
        return {op.name: op.layer.shape for op in operations if op.layer is not None and op.name in kept}

    def extract(self, images: torch.Tensor, rank: int = 1, target: int | None = None) -> list[Path]:
        """The effective path of each image.

        Args:
            images: (N, C, H, W) float in [0, 1].
            rank: start from the logit of this place, 1 = the predicted class. Equal logits take the lower index.
            target: start from this logit instead.

        Raises:
            InvalidInputError: for images, rank or target out of range, or logits that are not finite.
            UnsupportedOperationError: if the model contains an operation without a rule.
        """
        check_images(images)
        if not len(images):
            return []
        shape = _shape(images)
        activations = self.record(images)
        logits = activations[self._network(shape).output.node]
        starts = _starts(logits, rank, target)
        selections = self.select(shape, activations, starts)
        layers, shapes = self.layers(shape), self.shapes(shape)
        given_rank = None if target is not None else rank
        n_ids = sum(len(selection.synapses) for selection in selections.values())
        with Threads(self.threads if n_ids > _WORTH_A_THREAD * len(images) else 1) as threads:
            return [
                _to_path(n, layers, shapes, selections, self.theta, given_rank, int(starts[n]), threads)
                for n in range(len(images))
            ]

    def _passed(self, network: Network) -> list[Operation]:
        """The operations that a path goes through, backwards from the logits to the first layer it holds."""
        kept = set(network.layers if self.last_layers is None else network.layers[-self.last_layers :])
        reached = {network.output.node}
        passed: list[Operation] = []
        for operation in reversed(network.operations.values()):
            if not kept:
                break
            if operation.node not in reached:
                continue
            if operation.kind is Kind.LAYER:
                if operation.name not in kept:
                    continue
                kept.remove(operation.name)
            reached.update(operation.inputs)
            passed.append(operation)
        return passed

    def record(self, images: torch.Tensor) -> dict[str, np.ndarray]:
        """What the rules need to see: outputs by operation node, (N, ...) float arrays; the logits are always there."""
        network = self.network(_shape(images))
        wanted = {network.output.node}
        for operation in self._passed(network):
            if operation.kind in _NEEDS_VALUES:
                wanted.update((operation.node, *operation.inputs))
        parameter = next(self.model.parameters(), None)
        like = images if parameter is None else images.to(device=parameter.device, dtype=parameter.dtype)
        change = None if self.intervention is None else self.intervention.change
        with recording(self.model, network.runner, frozenset(wanted), change) as record:
            values = record(like)
        activations = {node: value.detach().float().cpu().contiguous().numpy() for node, value in values.items()}
        if any(len(value) != len(images) for value in activations.values()):  # the kernels trust these shapes
            raise InvalidInputError(
                f"expected one row an image from every operation; the model does not keep the {len(images)} images of "
                "a batch apart. Give it another model, or one image at a time."
            )
        logits = activations[network.output.node]
        bad = ~np.isfinite(logits).all(axis=1)
        if bad.any():
            raise InvalidInputError(
                f"expected finite logits; image {int(np.argmax(bad))} of the batch gave NaN or infinity. "
                "The model's weights, or this image, are not usable."
            )
        return activations

    def select(
        self, image_shape: tuple[int, int, int], activations: dict[str, np.ndarray], starts: np.ndarray
    ) -> dict[str, Selection]:
        """Goes backwards from one logit of each image.

        Args:
            image_shape: (C, H, W).
            activations: of :meth:`record`, for N images.
            starts: (N,) index of the logit each path starts from.

        Returns:
            The selection in each layer, by name.
        """
        network = self._network(image_shape)
        n_images = len(starts)
        active: dict[str, np.ndarray] = {network.output.node: np.zeros((n_images, network.n_classes), bool)}
        active[network.output.node][np.arange(n_images), starts] = True
        pending: dict[str, Callable[[], Selection]] = {}
        with Threads(self.threads) as threads:
            for operation in self._passed(network):
                mask = active.pop(operation.node)
                for node in operation.inputs:
                    if node not in active:
                        active[node] = np.zeros((n_images, network.operations[node].size), bool)
                if operation.kind is Kind.LAYER:
                    pending[operation.name] = _pass_layer(operation, activations, mask, active, self.theta, threads)
                else:
                    _PASSES[operation.kind](operation, activations, mask, active, self.theta)
            return {name: selection() for name, selection in pending.items()}


Masks = dict[str, np.ndarray]
Pass = Callable[[Operation, dict[str, np.ndarray], np.ndarray, Masks, float], None]


def _pass_layer(
    operation: Operation,
    activations: dict[str, np.ndarray],
    mask: np.ndarray,
    active: Masks,
    theta: float,
    threads: Threads,
) -> Callable[[], Selection]:
    layer = operation.layer
    assert layer is not None
    source = operation.inputs[0]
    given = (layer, activations[source], activations[operation.node], mask, theta, active[source])
    if layer.weight.device.type == "cuda":
        selected = select_by_torch(*given)
        return lambda: Selection(*selected, mask)
    in_order = select_in_layer(*given, threads)
    return lambda: Selection(*in_order(), mask)


def _pass_pool(
    operation: Operation, activations: dict[str, np.ndarray], mask: np.ndarray, active: Masks, theta: float
) -> None:
    assert operation.windows is not None
    source = operation.inputs[0]
    inputs, outputs = activations[source], activations[operation.node]
    n_images, channels = inputs.shape[:2]
    select_in_pool(
        inputs.reshape(n_images, channels, -1), outputs.reshape(n_images, channels, -1), mask,
        operation.windows.starts, operation.windows.members, operation.kind is Kind.MAX_POOL, theta, active[source],
    )  # fmt: skip


def _pass_add(
    operation: Operation, activations: dict[str, np.ndarray], mask: np.ndarray, active: Masks, theta: float
) -> None:
    n_images = len(mask)
    first, second = operation.inputs
    flat = [activations[node].reshape(n_images, -1) for node in (first, second, operation.node)]
    select_in_sum(flat[0], flat[1], flat[2], mask, theta, active[first], active[second])


def _pass_route(
    operation: Operation, activations: dict[str, np.ndarray], mask: np.ndarray, active: Masks, theta: float
) -> None:
    assert operation.sources is not None
    begin = 0
    for node in operation.inputs:
        size = active[node].shape[1]
        here = np.flatnonzero((operation.sources >= begin) & (operation.sources < begin + size))
        images, elements = np.nonzero(mask[:, here])
        active[node][images, operation.sources[here[elements]] - begin] = True
        begin += size


def _pass_same_position(
    operation: Operation, activations: dict[str, np.ndarray], mask: np.ndarray, active: Masks, theta: float
) -> None:
    active[operation.inputs[0]] |= mask


def _pass_input(
    operation: Operation, activations: dict[str, np.ndarray], mask: np.ndarray, active: Masks, theta: float
) -> None:
    """The image itself: the path ends here."""


_PASSES: dict[Kind, Pass] = {
    Kind.INPUT: _pass_input,
    Kind.MAX_POOL: _pass_pool,
    Kind.AVERAGE_POOL: _pass_pool,
    Kind.ADD: _pass_add,
    Kind.ROUTE: _pass_route,
    Kind.SAME_POSITION: _pass_same_position,
}


def check_images(images: torch.Tensor) -> None:
    """Raises InvalidInputError unless ``images`` is a (N, C, H, W) float tensor of finite values in [0, 1]."""
    if not isinstance(images, torch.Tensor) or images.dim() != 4 or not images.is_floating_point():
        got = f"{tuple(images.shape)} {images.dtype}" if isinstance(images, torch.Tensor) else type(images).__name__
        raise InvalidInputError(f"images: expected a float tensor (N, C, H, W); got {got}.")
    if images.numel() and not (float(images.min()) >= 0 and float(images.max()) <= 1):
        raise InvalidInputError(
            f"images: expected values from 0 to 1; got {float(images.min()):g} to {float(images.max()):g}. "
            "Divide 8-bit images by 255; normalisation belongs inside the model."
        )


def _shape(images: torch.Tensor) -> tuple[int, int, int]:
    return (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))


def _starts(logits: np.ndarray, rank: int, target: int | None) -> np.ndarray:
    n_classes = logits.shape[1]
    if target is not None:
        if not 0 <= target < n_classes:
            raise InvalidInputError(f"target: expected a class from 0 to {n_classes - 1}; got {target}.")
        return np.full(len(logits), target, np.int64)
    if not 1 <= rank <= n_classes:
        raise InvalidInputError(f"rank: expected a place from 1 to {n_classes}; got {rank}.")
    return np.argsort(-logits, axis=1, kind="stable")[:, rank - 1]


def _to_path(
    n: int,
    layers: tuple[str, ...],
    shapes: dict[str, LayerShape],
    selections: dict[str, Selection],
    theta: float,
    rank: int | None,
    target: int,
    threads: Threads,
) -> Path:
    def ids_of(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        selection = selections[name]
        begin, end = selection.begins[n : n + 2]
        is_all = end - begin == len(selection.synapses)
        synapses = selection.synapses if is_all else selection.synapses[begin:end].copy()
        return synapses, shapes[name].weight_ids(synapses), np.flatnonzero(selection.neurons[n])

    found = threads.each(ids_of, layers)
    synapses, weights, neurons = (dict(zip(layers, ids, strict=True)) for ids in zip(*found, strict=True))
    return Path(layers, synapses, weights, neurons, shapes, theta, rank, target)
