"""Random weights that keep the scale of activations through a deep network."""

from __future__ import annotations

import torch
from torch import nn


def he_initialise(module: nn.Module, seed: int) -> None:
    """Gives every convolution and linear layer He-normal weights and a bias of zero (He et al. 2015, eq. 10).

    Batch norms scale by 1 and shift by 0: some libraries begin with 0 at the end of a residual block, and a block that
    adds nothing has no path. The same seed gives the same weights; torch's global random state is left alone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.BatchNorm2d) and layer.affine:
                nn.init.ones_(layer.weight)
                nn.init.zeros_(layer.bias)
