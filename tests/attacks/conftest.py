"""Tiny networks and images for the attack tests."""

import pytest
import torch
from torch import nn


class MixedNet(nn.Module):
    """Three classes of 2x5x5 images; holds everything whose state an attack could disturb."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.act = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(6 * 25, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x -= 0.5  # in place on the input: must not reach the attack's own tensors
        return self.fc(self.drop(self.act(self.norm(self.conv(x)))).flatten(1))


@pytest.fixture
def net() -> MixedNet:
    """In training mode, apart from a frozen batch norm, with gradients and a hook present."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = MixedNet()
    net.train()
    net.norm.eval()
    net.conv.weight.requires_grad_(False)
    net.fc.weight.grad = torch.full_like(net.fc.weight, 7.0)
    net.calls = 0

    def count(*_: object) -> None:
        net.calls += 1

    net.fc.register_forward_hook(count)
    return net


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(6, 2, 5, 5, generator=torch.Generator().manual_seed(11))


@pytest.fixture
def labels(net: MixedNet, images: torch.Tensor) -> torch.Tensor:
    """What the net predicts, apart from the last image, whose label is wrong."""
    labels = predicted(net, images)
    labels[-1] = (labels[-1] + 1) % 3
    return labels


def predicted(net: nn.Module, images: torch.Tensor) -> torch.Tensor:
    modes = [(part, part.training) for part in net.modules()]
    net.eval()
    with torch.no_grad():
        classes = net(images.clone()).argmax(dim=1)
    for part, mode in modes:
        part.training = mode
    return classes
