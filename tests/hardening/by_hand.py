"""A net of two pixels and two classes whose paths, sensitivities and answers are worked out by hand.

Pixel 1 is never used. The first layer hands the pixels on; class 0 has the logit x0, class 1 has x0 / 2 + 0.2: a first
pixel above 0.4 is class 0, a darker one class 1. The path of an image of class 0 is synapse 0 of both layers; that of
class 1 has synapse 0 of the first layer and synapse 2 of the second.
"""

import numpy as np
import torch
from torch import nn

from engine.datasets.dataset import ArrayImages, Dataset
from engine.network.classifiers import Classifier, classifier_key

BRIGHT, DARK = 204, 51  # 0.8 and 0.2


def net(bias=0.2):
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2), nn.Linear(2, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.eye(2))
        model[1].bias.zero_()
        model[2].weight.copy_(torch.tensor([[1.0, 0.0], [0.5, 0.0]]))
        model[2].bias.copy_(torch.tensor([0.0, bias]))
    return model.eval()


def classifier(name="plain", bias=0.2):
    model = net(bias)
    key = classifier_key(model, "by-hand")
    return Classifier(name, name.capitalize(), "by-hand", "by-hand", ("bright", "dark"), (1, 1, 2), model, key, {})


def data(*firsts):
    """Train and test images with these first pixels; an image is called bright above half."""
    pixels = np.array([[[[first, 100]]] for first in firsts], np.uint8)
    images = ArrayImages(pixels, np.array([int(first < 128) for first in firsts]))
    return Dataset("by-hand", "By hand", ("bright", "dark"), (1, 1, 2), images, images, "key")
