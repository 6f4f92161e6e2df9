"""Nets whose answers are worked out by hand, and pairs for them and for random nets."""

import numpy as np
import torch
from torch import nn

from engine.attacks.pairs import Pairs
from tests.paths.nets import SHAPE


def tiny(kernels=(1.0, -2.0), last=((1, 2, 3, -1), (0, 1, 0, 2), (2, 0, -1, 1))):
    """Images of one row of two pixels; a convolution that multiplies them, and a linear layer behind its ReLU."""
    model = nn.Sequential(nn.Conv2d(1, len(kernels), 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor(kernels)[:, None, None, None])
        model[3].weight.copy_(torch.tensor(last, dtype=torch.float32))
        model[3].bias.copy_(torch.tensor([10.0, 20.0, 30.0]))
    return model.eval()


def pairs_of(clean, adversarial, labels, predictions):
    return Pairs(
        clean, adversarial, np.array(labels, np.int64), np.array(predictions, np.int64), np.arange(len(labels)),
        "fgsm", {"epsilon": 0.1}, 3,
    )  # fmt: skip


def rows(*images):
    """Images of one row of two pixels."""
    return torch.tensor(images, dtype=torch.float32)[:, None, None, :]


def random_pairs(count=7, classes=5, seed=0, shape=SHAPE):
    """Random images, changes and predictions, most of them wrong."""
    generator = torch.Generator().manual_seed(seed)
    clean = torch.rand(count, *shape, generator=generator)
    adversarial = (clean + 0.2 * torch.randn(count, *shape, generator=generator)).clamp(0, 1)
    labels, predictions = torch.randint(0, classes, (2, count), generator=generator).numpy()
    return pairs_of(clean, adversarial, labels, predictions)


def seen_by(model, images, modules, inputs=False):
    """What the named modules of a model put out (or take in), as arrays by name, taken with hooks."""
    seen, named = {}, dict(model.named_modules())

    def keep(name):
        def hook(module, given, out):
            seen[name] = (given[0] if inputs else out).detach().clone().numpy()

        return hook

    handles = [named[name].register_forward_hook(keep(name)) for name in modules]
    with torch.no_grad():
        model(images.to(next(model.parameters())))
    for handle in handles:
        handle.remove()
    return seen
