"""What a detector sees of an image: how much of its path lies on the class path, layer by layer (definitions 3)."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.errors import InvalidInputError
from engine.network.state import evaluating
from engine.paths.aggregation import ClassPaths
from engine.paths.extraction import EffectivePath, Selection, check_images
from engine.paths.path import Part, n_common_in
from engine.progress import Progress, silent

BATCH = 100
RANKS = (1, 2)
# One byte for every possible id of every class: membership is then a look-up. Above it, sorted ids are searched.
DENSE_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class PathFeatures:
    """Image-class similarities of N images.

    Attributes:
        values: (N, 2L) float64 in [0, 1]: per layer the rank-1 similarity, then per layer that of rank 2. 0 where the
            class has no path (no training image of it is classified correctly).
        layers: (L,) names, in execution order.
        predictions: (N, 2) int64, the classes of rank 1 and 2.
        part: "synapses" or "weights".
        theta: of the extraction.
    """

    values: npt.NDArray[np.float64]
    layers: tuple[str, ...]
    predictions: npt.NDArray[np.int64]
    part: Part
    theta: float

    @property
    def names(self) -> tuple[str, ...]:
        """(2L,) a name for every column."""
        return tuple(f"{layer}, rank {rank}" for rank in RANKS for layer in self.layers)


def path_features(
    model: nn.Module,
    images: torch.Tensor,
    class_paths: ClassPaths,
    *,
    part: Part = "synapses",
    last_layers: int | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> PathFeatures:
    """The features of images.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits.
        images: (N, C, H, W) float in [0, 1].
        class_paths: of the same model; their θ is used for the images too.
        part: compare synapses or weights.
        last_layers: only the last so many layers; extraction stops there.
        workers: threads; by default as many as torch uses.
        progress: called after every batch; may raise Cancelled.

    Raises:
        InvalidInputError: for images out of range, or class paths of another model.
    """
    check_images(images)
    if not len(images):
        raise InvalidInputError("images: expected at least one; got none.")
    extractor = EffectivePath(model, class_paths.theta, last_layers)
    shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
    layers = extractor.layers(shape)
    known = class_paths.paths[0].layers
    if layers != known[len(known) - len(layers) :]:
        raise InvalidInputError(
            f"class_paths: expected those of this model, with the layers {', '.join(layers)}; got {', '.join(known)}."
        )
    members = {layer: _Members(class_paths, layer, part) for layer in layers}
    batches = [images[first : first + BATCH] for first in range(0, len(images), BATCH)]
    parts = []
    with evaluating(model), ThreadPoolExecutor(workers or torch.get_num_threads()) as pool:
        pending = [pool.submit(_features_of_batch, extractor, batch, members) for batch in batches]
        try:
            for number, future in enumerate(pending):
                parts.append(future.result())
                progress((number + 1) / len(batches), f"paths of {min((number + 1) * BATCH, len(images)):,} images")
        finally:
            for future in pending:
                future.cancel()
    values, predictions = (np.concatenate(column) for column in zip(*parts, strict=True))
    return PathFeatures(values, layers, predictions, part, class_paths.theta)


def _features_of_batch(
    extractor: EffectivePath, images: torch.Tensor, members: Mapping[str, _Members]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    shape = (int(images.shape[1]), int(images.shape[2]), int(images.shape[3]))
    activations = extractor.record(images)  # once for both ranks
    logits = activations[extractor.network(shape).output.node]
    ranking = np.argsort(-logits, axis=1, kind="stable")[:, : len(RANKS)].astype(np.int64)
    columns = []
    for place in range(len(RANKS)):
        selections = extractor.select(shape, activations, ranking[:, place])
        columns += [members[layer].overlap(selections[layer], ranking[:, place]) for layer in members]
    return np.stack(columns, axis=1), ranking


class _Members:
    """The class paths in one layer, ready to be asked which ids they hold."""

    def __init__(self, class_paths: ClassPaths, layer: str, part: Part) -> None:
        self.part, self.layer = part, layer
        self.shape = class_paths.paths[0].shapes[layer]
        # by class, then layer: those of a large network stay in their file until they are asked for
        self.ids = [path.synapses if part == "synapses" else path.weights for path in class_paths.paths]
        space = self.shape.n_neurons * self.shape.receptive_field if part == "synapses" else self.shape.n_weights
        self.table: npt.NDArray[np.bool_] | None = None
        if space * len(self.ids) <= DENSE_BYTES:
            self.table = np.zeros((len(self.ids), space), bool)
            for row, ids in zip(self.table, self.ids, strict=True):
                row[ids[layer]] = True

    def overlap(self, selection: Selection, classes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """|S ∩ S̃| / |S| of each image with the path of its class, (N,)."""
        shares = np.zeros(len(classes))
        for n, label in enumerate(classes):
            mine = selection.synapses[selection.begins[n] : selection.begins[n + 1]]
            if self.part == "weights":
                mine = self.shape.weight_ids(mine)
            if len(mine):
                if self.table is not None:
                    common = int(self.table[label, mine].sum())
                else:
                    common = n_common_in({self.layer: mine}, self.ids[label], self.layer)
                shares[n] = common / len(mine)
        return shares
