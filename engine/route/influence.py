"""The units of every layer that matter most to the next layer's, for a batch of images in one backward sweep.

The influence of unit i on an output element z of the next layer is Σ_s |∂z/∂s| over the elements s of i; on a unit, the
sum over its elements z (Li et al. 2020, equations 1 and 2). The derivative of a block is |w| through the masks of its
activations and the maxima of its poolings, so the influence on a set of units, summed, is one backward pass with |w| in
place of w and ones on these units' elements: no loop over elements or units is needed.

This is exact where two elements are linked by one path. Where several link them (overlapping poolings, the branches of
a residual block), and where one layer is read by several, the paths' absolute values add up, which is an upper bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.attacks.inputs import Inputs
from engine.errors import InvalidInputError
from engine.network.trace import Network
from engine.route.backward import Backward
from engine.route.gradients import forward_and_gradients
from engine.route.layers import last_layers, route_layers


@dataclass(frozen=True, slots=True, eq=False)
class Swept:
    """What one sweep found for N images, by route layer's name, in execution order.

    Attributes:
        chosen: (N, U) bool, the units of each image's route.
        influence: (N, U) float64, on the chosen units of the layers behind; at a last layer, its gradients.
        gradients: (N, U) float64, Σ|∂loss/∂s| over a unit's elements.
    """

    chosen: Mapping[str, Tensor]
    influence: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]


class Sweep:
    """Goes backwards through a traced model, from its last convolutions to its first."""

    def __init__(self, network: Network, share: float) -> None:
        """Prepares sweeps.

        Args:
            network: the traced model; keep it in eval mode while sweeping.
            share: of each layer's units that a route has, above 0, up to 1; see :func:`count_of`.

        Raises:
            InvalidInputError: for a share out of range or a model without convolutions.
        """
        check_share("share", share)
        self._network = network
        self._share = share
        self.layers = route_layers(network)
        self._by_node = {layer.node: layer for layer in self.layers}
        self._last = last_layers(network)
        self._backward = Backward(network)

    def __call__(self, batch: Inputs) -> Swept:
        """The routes of a batch: images (N, C, H, W) on the model's device, with their true classes."""
        values, gradients = forward_and_gradients(self._network, self.layers, batch)
        chosen: dict[str, Tensor] = {}
        influence: dict[str, Tensor] = {}
        arrived: dict[str, Tensor] = {}
        with torch.no_grad():
            for operation in reversed(self._network.operations.values()):
                arriving = arrived.pop(operation.node, None)
                layer = self._by_node.get(operation.node)
                if layer is not None:
                    scores = gradients[layer.name] if layer.name in self._last else _per_unit(arriving)
                    influence[layer.name] = scores
                    chosen[layer.name] = top(scores, self._share)
                    arriving = _ones_on(chosen[layer.name], values[layer.node])
                if len(chosen) == len(self.layers):
                    break
                if arriving is None:
                    continue
                for source, part in self._backward(operation, values, arriving):
                    arrived[source] = arrived[source] + part if source in arrived else part
        names = [layer.name for layer in self.layers]
        return Swept({name: chosen[name] for name in names}, {name: influence[name] for name in names}, gradients)


def top(scores: Tensor, share: float) -> Tensor:
    """(N, U) bool: in each row the share of units with the highest scores; of equal ones, those of lower id."""
    order = torch.argsort(scores, dim=1, descending=True, stable=True)[:, : count_of(share, scores.shape[1])]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, order, True)


def count_of(share: float, units: int) -> int:
    """How many of so many units a share is: rounded up, so at least one."""
    return max(1, math.ceil(share * units - 1e-9))  # 0.1 · 30 is a little more than 3


def check_share(name: str, share: float) -> None:
    """Refuses a share of units that is none.

    Raises:
        InvalidInputError: unless it is above 0, up to 1.
    """
    if not 0 < share <= 1:
        raise InvalidInputError(f"{name}: expected a share of the units above 0, up to 1; got {share}.")


def _per_unit(arriving: Tensor | None) -> Tensor:
    assert arriving is not None, "a layer that no convolution reads is a last one"
    return arriving.flatten(2).sum(dim=2, dtype=torch.float64)


def _ones_on(chosen: Tensor, output: Tensor) -> Tensor:
    return chosen[:, :, None, None].to(output).expand_as(output)
