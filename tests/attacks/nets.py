"""Nets that several attack tests share."""

import torch
from torch import nn


def linear(weights: list[list[float]], bias: list[float]) -> nn.Module:
    """Logits W·x + b of an image flattened to a vector."""
    layer = nn.Linear(len(weights[0]), len(weights))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights))
        layer.bias.copy_(torch.tensor(bias))
    return nn.Sequential(nn.Flatten(), layer)


def pixels(*rows: list[float]) -> torch.Tensor:
    """Images (N, 1, 1, W) of one row of pixels each."""
    return torch.tensor(rows)[:, None, None, :]


def smooth(classes: int, seed: int) -> nn.Module:
    """A net of 3x8x8 images without kinks, of which several classes are predicted."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8 * 16, classes)
        )
    with torch.no_grad():
        net[-1].weight.mul_(4)
    return net.eval()


class Stubborn(nn.Module):
    """Class 0 whatever the image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.flatten(1).mean(dim=1)
        return torch.stack([mean + 2, -mean], dim=1)
