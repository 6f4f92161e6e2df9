"""Nets, data and classifiers that several hardening tests share."""

import numpy as np
import torch
from torch import nn

from engine.datasets.dataset import ArrayImages, Dataset
from engine.hardening.methods.base import Job
from engine.hardening.settings import TrainingSettings
from engine.network.catalogue import build_model
from engine.network.classifiers import Classifier, classifier_key

SHAPE = (1, 12, 12)
CLASSES = ("left", "middle", "right")


def toy_split(count, seed):
    """Noise with one bright column, whose third of the image is the class."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    pixels = random.integers(0, 90, (count, *SHAPE), dtype=np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        image[0, :, 4 * label + random.integers(0, 4)] += 150
    return ArrayImages(pixels, labels)


def toy_data(train=48, test=12):
    return Dataset("toy", "Toy", CLASSES, SHAPE, toy_split(train, 0), toy_split(test, 1), f"toy-{train}")


def classifier_of(net, architecture, data):
    net.eval()
    return Classifier(
        "parent", "Parent", architecture, data.name, data.classes, data.image_shape, net,
        classifier_key(net, architecture), {},
    )  # fmt: skip


def lenet(data, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return classifier_of(build_model("lenet5", 3, SHAPE), "lenet5", data)


class Normed(nn.Module):
    """Three convolutions with batch norm; one ReLU module serves all three."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.conv3, self.bn3 = nn.Conv2d(6, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(32, 3)

    def forward(self, x):
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = self.relu(norm(conv(x)))
        return self.fc(self.drop(self.pool(x).flatten(1)))


def normed(data, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Normed()
        with torch.no_grad():  # running statistics that are not those of a new batch norm
            for norm in (net.bn1, net.bn2, net.bn3):
                norm.running_mean.normal_(0, 0.2)
                norm.running_var.uniform_(0.5, 1.5)
    return classifier_of(net, "tests.hardening.nets:Normed", data)


def few(**changes):
    """Settings that train in a moment."""
    usual = {
        "optimizer": "sgd", "lr": 0.05, "weight_decay": 1e-3, "batch_size": 16, "epochs": 2, "start": "parent",
        "held_out": 6, "held_out_epsilon": 0.1,
    }  # fmt: skip
    return TrainingSettings(**{**usual, **changes})


def job_of(net, images, **changes):
    return Job(**{"model": net, "images": images, "start": "parent", "seed": 0, "bfloat16": False, **changes})


def same_weights(one, other):
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
