"""Grad-CAM (Selvaraju et al. 2017) through captum, whole and split by the critical attacking route (Li et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from engine.attribution.tap import Tapped
from engine.errors import InvalidInputError
from engine.network.state import evaluating
from engine.network.trace import Network, traced
from engine.network.units import UnitLayer, check_units, find_unit_layers, unit_layers
from engine.progress import Progress, silent

Maps = npt.NDArray[np.float32]
BATCH = 50


@dataclass(frozen=True, slots=True, eq=False)
class GradCam:
    """Where each image has its evidence for a class.

    Attributes:
        maps: (N, H, W) ≥ 0, resized to the image; in the units of the logit.
        classes: (N,) the class each map explains.
        layer: name of the unit layer it was taken from.
    """

    maps: Maps
    classes: npt.NDArray[np.int64]
    layer: str


@dataclass(frozen=True, slots=True, eq=False)
class SplitGradCam:
    """Grad-CAM of some units of a layer, and of the others.

    Attributes:
        chosen, others: (N, H, W) ≥ 0, resized to the image; in the units of the logit.
        scale: (N,) the largest value in either map of an image: both are to be drawn on this scale.
        units: ids of the chosen units.
        classes: (N,) the class each map explains.
        layer: name of the unit layer.
    """

    chosen: Maps
    others: Maps
    scale: npt.NDArray[np.float32]
    units: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int64]
    layer: str


def grad_cam(
    model: nn.Module | Network,
    images: torch.Tensor,
    classes: npt.NDArray[np.int64],
    *,
    layer: str | None = None,
    progress: Progress = silent,
) -> GradCam:
    """Grad-CAM: ReLU(Σ_k α_k·A_k), α_k the mean of ∂logit/∂A_k over positions (Selvaraju et al. 2017, equations 1, 2).

    Args:
        model: maps (N, C, H, W) in [0, 1] to logits, or that model traced; left as it was.
        images: (N, C, H, W) float in [0, 1].
        classes: (N,) the class to explain for each.
        layer: name of a convolution's unit layer; the last convolution, after its activation, if None.
        progress: called after every batch; may raise Cancelled.

    Raises:
        InvalidInputError: for a layer that is not a convolution's, or classes out of range.
    """
    network, where = _prepared(model, images, classes, layer)
    parts = [weighted.sum(dim=1) for weighted in _weighted(network, where, images, classes, progress)]
    return GradCam(_resized(torch.cat(parts), network), classes, where.name)


def split_grad_cam(
    model: nn.Module | Network,
    images: torch.Tensor,
    classes: npt.NDArray[np.int64],
    units: npt.NDArray[np.int64],
    *,
    layer: str | None = None,
    progress: Progress = silent,
) -> SplitGradCam:
    """Grad-CAM over the given units of a layer and over its other units (definitions 5), on one common scale.

    Args:
        units: ids of the units on the route. The rest as in :func:`grad_cam`.

    Raises:
        InvalidInputError: for units that the layer does not have, and as in :func:`grad_cam`.
    """
    network, where = _prepared(model, images, classes, layer)
    check_units(where, units.tolist())
    is_chosen = torch.zeros(where.units, dtype=torch.bool)
    is_chosen[torch.from_numpy(units)] = True
    chosen, others = [], []
    for weighted in _weighted(network, where, images, classes, progress):
        chosen.append(weighted[:, is_chosen].sum(dim=1))
        others.append(weighted[:, ~is_chosen].sum(dim=1))
    on, off = (_resized(torch.cat(parts), network) for parts in (chosen, others))
    scale = np.maximum(on, off).reshape(len(on), -1).max(axis=1)
    return SplitGradCam(on, off, scale, np.sort(units), classes, where.name)


def _prepared(
    model: nn.Module | Network, images: torch.Tensor, classes: npt.NDArray[np.int64], layer: str | None
) -> tuple[Network, UnitLayer]:
    if images.dim() != 4 or not len(images) or len(images) != len(classes):
        raise InvalidInputError(
            f"expected images (N, C, H, W) and N classes, N ≥ 1; got {tuple(images.shape)} and {len(classes)}."
        )
    network = traced(model, (int(images.shape[1]), int(images.shape[2]), int(images.shape[3])))
    if classes.min() < 0 or classes.max() >= network.n_classes:
        raise InvalidInputError(
            f"classes: expected 0 to {network.n_classes - 1}; got {int(classes.min())} to {int(classes.max())}."
        )
    if layer is None:
        return network, unit_layers(network, activated=True, convolutions=True)[-1]
    where = find_unit_layers(network, [layer])[0]
    if not where.is_convolution:
        raise InvalidInputError(f"layer: expected a convolution, which has a map; {layer} is a linear layer.")
    return network, where


def _weighted(
    network: Network, where: UnitLayer, images: torch.Tensor, classes: npt.NDArray[np.int64], progress: Progress
) -> list[torch.Tensor]:
    """α_k·A_k of every unit, (n, U, h, w) on the CPU, batch by batch."""
    # Imported here: it brings matplotlib along, which takes a second that no other analysis needs.
    method = import_module("captum.attr").LayerGradCam
    tapped = Tapped(network, where.node)
    like = next(network.model.parameters())
    found = []
    with evaluating(network.model), torch.enable_grad():
        for first in range(0, len(images), BATCH):
            batch = images[first : first + BATCH].detach().clone().to(like)
            wanted = torch.from_numpy(classes[first : first + BATCH]).to(like.device)
            weighted = method(tapped, tapped.tap).attribute(batch, target=wanted, attr_dim_summation=False)
            found.append(weighted.detach().float().cpu())
            progress(min(1.0, (first + len(batch)) / len(images)), "Grad-CAM")
    return found


def _resized(maps: torch.Tensor, network: Network) -> Maps:
    """ReLU and bilinear resizing of maps (N, h, w) to the image."""
    size = network.image_shape[1:]
    resized = functional.interpolate(maps.relu()[:, None], size=size, mode="bilinear", align_corners=False)
    return np.asarray(resized[:, 0].numpy(), np.float32)
