"""Unit segmentation: which part of an image a unit reacts to (definitions 4; Zhang et al. 2020, Bau et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from engine.errors import InvalidInputError
from engine.network.intervention import outputs_of
from engine.network.trace import Network, traced
from engine.network.units import check_units, find_unit_layers
from engine.progress import Progress, silent

QUANTILE = 0.995
STRONGEST = 5
BATCH = 100


@dataclass(frozen=True, slots=True, eq=False)
class UnitProfile:
    """How strongly each unit of a layer reacts to the images of a set.

    Attributes:
        layer: name of the unit layer.
        quantile: q, in (0, 1).
        thresholds: (U,) at most a share 1 − q of the elements of a unit's maps lies above its threshold.
        strongest: (U, S) rows of the images with the highest peaks, highest first; equal peaks take the lower row.
        peaks: (U, S) their largest activations.
        n_images: how many images were looked at.
    """

    layer: str
    quantile: float
    thresholds: npt.NDArray[np.float32]
    strongest: npt.NDArray[np.int64]
    peaks: npt.NDArray[np.float32]
    n_images: int


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """The region of interest of some units in some images.

    Attributes:
        maps: (N, M, H, W) activations, resized to the image.
        regions: (N, M, H, W) bool, where the map is above the unit's threshold.
        units: (M,) ids.
        layer: name of the unit layer.
    """

    maps: npt.NDArray[np.float32]
    regions: npt.NDArray[np.bool_]
    units: npt.NDArray[np.int64]
    layer: str


def unit_profile(
    model: nn.Module | Network,
    images: torch.Tensor,
    layer: str,
    *,
    quantile: float = QUANTILE,
    strongest: int = STRONGEST,
    progress: Progress = silent,
) -> UnitProfile:
    """Looks at how every unit of a layer reacts to images, in one pass.

    Kept while it runs are the largest elements of each unit alone, so the quantile is exact.

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits, or that model traced; left as it was.
        images: (N, C, H, W) float in [0, 1].
        layer: name of a unit layer; each element of a linear layer is a map of one pixel.
        quantile: q, above 0 and below 1.
        strongest: S, how many images are remembered for each unit; fewer if there are not so many.
        progress: called after every batch; may raise Cancelled.

    Raises:
        InvalidInputError: for an unknown layer, no images, or a quantile out of range.
    """
    if not 0 < quantile < 1:
        raise InvalidInputError(f"quantile: expected a number above 0 and below 1; got {quantile}.")
    if images.dim() != 4 or not len(images):
        raise InvalidInputError(f"images: expected (N, C, H, W) with N ≥ 1; got {tuple(images.shape)}.")
    network = traced(model, (int(images.shape[1]), int(images.shape[2]), int(images.shape[3])))
    where = find_unit_layers(network, [layer])[0]
    like = next(network.model.parameters())
    n_elements = len(images) * int(np.prod(where.shape[1:], dtype=np.int64))
    n_above = int((1 - quantile) * n_elements)
    largest = torch.empty(where.units, 0)
    peaks = []
    for first in range(0, len(images), BATCH):
        batch = images[first : first + BATCH].to(like)
        maps = outputs_of(network, batch, [where])[where.node].float().cpu().reshape(len(batch), where.units, -1)
        peaks.append(maps.amax(dim=2))
        largest = torch.cat([largest, maps.transpose(0, 1).flatten(1)], dim=1)
        largest = largest.topk(min(n_above + 1, largest.shape[1]), dim=1).values
        progress(min(1.0, (first + len(batch)) / len(images)), f"{first + len(batch):,} of {len(images):,} images")
    all_peaks = torch.cat(peaks).T  # (U, N)
    order = all_peaks.argsort(dim=1, descending=True, stable=True)[:, :strongest]
    return UnitProfile(
        where.name, quantile, largest[:, -1].numpy(), order.numpy(), all_peaks.gather(1, order).numpy(), len(images)
    )


def segment(
    model: nn.Module | Network, images: torch.Tensor, profile: UnitProfile, units: npt.NDArray[np.int64]
) -> Segmentation:
    """The regions of interest of units in images: their maps, resized, above the profile's thresholds.

    Args:
        model: the model that the profile was made for, or that model traced.
        images: (N, C, H, W) float in [0, 1].
        profile: of the layer.
        units: (M,) ids of units of that layer.

    Raises:
        InvalidInputError: for units that the layer does not have.
    """
    network = traced(model, (int(images.shape[1]), int(images.shape[2]), int(images.shape[3])))
    where = find_unit_layers(network, [profile.layer])[0]
    check_units(where, units.tolist())
    chosen = torch.from_numpy(units)
    values = (
        outputs_of(network, images.to(next(network.model.parameters())), [where])[where.node].float().cpu()[:, chosen]
    )
    maps = values if values.dim() == 4 else values[:, :, None, None]
    size = network.image_shape[1:]
    resized = functional.interpolate(maps, size=size, mode="bilinear", align_corners=False).numpy()
    regions = resized > profile.thresholds[units][None, :, None, None]
    return Segmentation(resized, regions, units, profile.layer)
