"""The route as the paper's formulas read: the derivative of each output element by each input element, one by one."""

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.Softplus, nn.Tanh)
BETWEEN = (nn.BatchNorm2d, nn.MaxPool2d, nn.AvgPool2d, nn.Dropout)


def unit_places(model):
    """Positions of the modules of a sequence that put units out: of a convolution's activation, else itself."""
    modules = list(model)
    found = []
    for place, module in enumerate(modules):
        if not isinstance(module, nn.Conv2d):
            continue
        after = place + 1
        while isinstance(modules[after], BETWEEN):
            after += 1
        found.append(after if isinstance(modules[after], ACTIVATIONS) else place)
    return found


def outputs(model, image):
    values, x = [], image[None]
    for module in model:
        x = module(x)
        values.append(x)
    return values


def loss_gradients(model, image, label):
    """Σ|∂loss/∂s| of each unit of each layer."""
    places, sums = unit_places(model), []
    for place in places:
        units = outputs(model, image)[place].detach().requires_grad_()
        x = units
        for module in list(model)[place + 1 :]:
            x = module(x)
        loss = functional.cross_entropy(x, torch.tensor([label]))
        sums.append(torch.autograd.grad(loss, units)[0].abs().sum(dim=(0, 2, 3)))
    return sums


def influence_on(block, given, units):
    """Σ_z Σ_s |∂z/∂s| over the elements z of the chosen units, for each unit of ``given`` (1, U, H, W)."""
    source = given.detach().requires_grad_()
    found = block(source)
    total = torch.zeros(given.shape[1], dtype=given.dtype)
    for unit in units:
        for z in found[0, unit].flatten():
            total += torch.autograd.grad(z, source, retain_graph=True)[0].abs().sum(dim=(0, 2, 3))
    return total


def top(scores, share):
    count = max(1, math.ceil(share * len(scores) - 1e-9))
    return sorted(sorted(range(len(scores)), key=lambda unit: (-scores[unit].item(), unit))[:count])


def literal_route(model, image, label, share):
    """The influence and the chosen units of each layer of a sequence, first layer first."""
    places = unit_places(model)
    values = outputs(model, image)
    influence = [loss_gradients(model, image, label)[-1]]
    chosen = [top(influence[0], share)]
    for before, here in reversed(list(pairwise(places))):
        block = nn.Sequential(*list(model)[before + 1 : here + 1])
        influence.insert(0, influence_on(block, values[before], chosen[0]))
        chosen.insert(0, top(influence[0], share))
    return influence, chosen
