"""Small nets whose routes are compared with the literal one, or known by hand."""

import torch
from torch import nn

from tests.paths.nets import seeded

SHAPE = (2, 8, 8)


def plain():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 5, 2), nn.ReLU(inplace=True), nn.Conv2d(5, 4, 1),
        nn.LeakyReLU(0.1), nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip


def strided_and_grouped():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2, padding=1), nn.Tanh(), nn.Conv2d(6, 6, 3, groups=3, padding="same"),
        nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(6, 4, 2, groups=2), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


def normalised():
    """One batch norm that is folded and one that is not."""
    return nn.Sequential(
        nn.Conv2d(2, 5, 3, bias=False), nn.BatchNorm2d(5), nn.ReLU(inplace=True), nn.BatchNorm2d(5), nn.Conv2d(5, 6, 2),
        nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 4, (2, 1), padding=(1, 0)), nn.ReLU(), nn.Dropout(), nn.Flatten(),
        nn.Linear(24, 3),
    )  # fmt: skip


def padded():
    """Padding as a step of its own, an even kernel padded to the same size, and a dilated one."""
    return nn.Sequential(
        nn.Conv2d(2, 5, 2, padding="same"), nn.ReLU(), nn.ZeroPad2d((1, 0, 2, 1)), nn.Conv2d(5, 4, 3, stride=(2, 3)),
        nn.Softplus(), nn.Conv2d(4, 4, 2, padding="same"), nn.ReLU(), nn.Conv2d(4, 3, 2, dilation=2, padding=1),
        nn.Flatten(), nn.Linear(45, 3),
    )  # fmt: skip


def overlapping():
    return nn.Sequential(
        nn.Conv2d(2, 5, 3), nn.ReLU(), nn.MaxPool2d(3, 1), nn.Conv2d(5, 4, 2), nn.ReLU(), nn.Flatten(),
        nn.Linear(36, 3),
    )  # fmt: skip


FACTORIES = {"plain": plain, "strided and grouped": strided_and_grouped, "batch norm": normalised, "padded": padded}


def build(name, seed=0):
    return seeded(FACTORIES[name], seed).double()


def build_overlapping():
    model = seeded(overlapping, 0).double()
    with torch.no_grad():
        model[3].bias.add_(1)  # no unit is dead
    return model


def set_weights(layer, weight, bias=0.0):
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight, dtype=layer.weight.dtype).reshape(layer.weight.shape))
        if layer.bias is not None:
            layer.bias.copy_(torch.as_tensor(bias, dtype=layer.bias.dtype))
    return layer


def by_hand():
    """Two layers of two units, on images of one row of two pixels."""
    return nn.Sequential(
        set_weights(nn.Conv2d(1, 2, 1), [1, -1], [0, 1]), nn.ReLU(),
        set_weights(nn.Conv2d(2, 2, 1), [[2, -3], [1, 1]]), nn.ReLU(), nn.Flatten(),
        set_weights(nn.Linear(4, 2), [[3, 3, 0, 0], [0, 0, 2, 2]]),
    ).eval()  # fmt: skip


class TinyResidual(nn.Module):
    """One unit and one pixel everywhere: s = relu(x), y = relu(s + (5 − 2s)), last 3y."""

    def __init__(self):
        super().__init__()
        self.first = set_weights(nn.Conv2d(1, 1, 1), [1])
        self.branch = set_weights(nn.Conv2d(1, 1, 1), [-2], 5)
        self.last = set_weights(nn.Conv2d(1, 1, 1), [3])
        self.head = set_weights(nn.Linear(1, 2), [[1], [-1]])

    def forward(self, x):
        s = torch.relu(self.first(x))
        return self.head(self.last(torch.relu(s + self.branch(s))).flatten(1))


class Joined(nn.Module):
    """Two branches joined in one tensor, a sum, a gate, and a split; every way a channel can go between layers."""

    def __init__(self):
        super().__init__()
        self.left = nn.Conv2d(2, 2, 1)
        self.right = nn.Conv2d(2, 3, 3, padding=1)
        self.joint = nn.Conv2d(5, 4, 3, padding=1, groups=1)
        self.side = nn.Conv2d(5, 4, 1)
        self.grouped = nn.Conv2d(4, 4, 2, groups=2)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = torch.cat([torch.relu(self.left(x)), torch.relu(self.right(x))], dim=1)
        x = torch.relu(self.joint(x)) + self.side(x)
        x = x * torch.sigmoid(x.mean((2, 3), keepdim=True))
        x = torch.relu(self.grouped(torch.max_pool2d(x, 2)))
        first, second = x.chunk(2, dim=1)
        x = torch.cat([second, first], dim=1)
        return self.head(nn.functional.adaptive_avg_pool2d(x, 2).flatten(1))


def joined():
    return seeded(Joined, 0)


def images(count, seed=0):
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed))
