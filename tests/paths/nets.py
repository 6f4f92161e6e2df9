"""Random nets that contain every operation a path passes, small enough for the slow extractor."""

import torch
from torch import nn

SHAPE = (3, 11, 11)


def seeded(factory, seed):
    torch.manual_seed(seed)
    model = factory()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, -1.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return model.eval()


def strided():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2, padding=1),
        nn.Conv2d(6, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 5),
    )  # fmt: skip


def dilated_and_grouped():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, dilation=2, padding=2), nn.LeakyReLU(0.1), nn.Conv2d(6, 6, 3, groups=3, padding=1),
        nn.ReLU(), nn.AvgPool2d(3, stride=2, padding=1), nn.Conv2d(6, 6, 3, groups=6), nn.Tanh(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(), nn.Linear(24, 5),
    )  # fmt: skip


def batch_normalised():
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5), nn.ReLU(inplace=True), nn.Conv2d(5, 6, (3, 1)), nn.ReLU(),
        nn.BatchNorm2d(6), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(5),
    )  # fmt: skip


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.body = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = self.relu(self.stem(x))
        y = self.norm(self.body(x))
        y += x
        y = self.relu(y)
        return self.head(torch.flatten(self.pool(y), 1))


class Branches(nn.Module):
    """Concatenation, overlapping max pooling, and one convolution used twice."""

    def __init__(self):
        super().__init__()
        self.left = nn.Conv2d(3, 2, 1)
        self.right = nn.Conv2d(3, 3, 5, padding=2, stride=1)
        self.shared = nn.Conv2d(5, 5, 3, padding=1)
        self.pool = nn.MaxPool2d(3, 2)
        self.mean = nn.AvgPool2d(2)
        self.head = nn.Linear(20, 5)  # 5 channels of 2×2

    def forward(self, x):
        x = torch.cat([torch.relu(self.left(x)), torch.relu(self.right(x))], dim=1)
        x = self.shared(torch.relu(self.shared(x)))
        return self.head(self.mean(self.pool(x)).flatten(1))


FACTORIES = {
    "strided": strided, "dilated and grouped": dilated_and_grouped, "batch norm": batch_normalised,
    "residual": Residual, "branches": Branches,
}  # fmt: skip


def build(name, seed=0):
    model = seeded(FACTORIES[name], seed)
    with torch.no_grad():
        model(torch.zeros(1, *SHAPE))  # gives lazy layers their size
    return model
