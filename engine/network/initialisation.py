"""Random weights that keep the scale of activations through a deep network."""

from __future__ import annotations

import torch
from torch import nn


def he_initialise(module: nn.Module, seed: int) -> None:
    """Gives every convolution and linear layer He-normal weights and a bias of zero (He et al. 2015, eq. 10).

    The same seed gives the same weights; torch's global random state is left alone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
