"""Grad-CAM against its formula, and split by units."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.attribution.grad_cam import grad_cam, split_grad_cam
from engine.errors import Cancelled, InvalidInputError
from engine.network.trace import trace
from engine.network.units import find_unit_layers
from tests.paths.nets import SHAPE, build


def tiny():
    """One convolution of two 1×1 units, w = 2 and −1; logit 0 sums unit 0, logit 1 reads both."""
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([2.0, -1.0]).view(2, 1, 1, 1))
        model[3].weight.copy_(torch.tensor([[1.0, 1, 1, 1, 0, 0, 0, 0], [1.0, 0, 0, 0, 3, 1, 1, 1]]))
    return model.eval()


IMAGE = torch.tensor([[[[1.0, 0.5], [0.0, 0.25]]]])


def test_by_hand():
    found = grad_cam(tiny(), IMAGE.repeat(2, 1, 1, 1), np.array([0, 1]))
    # Class 0: α = (1, 0), so the map is unit 0. Class 1: α = (1/4, 6/4), and unit 1 is zero everywhere after its ReLU.
    assert found.maps[0].tolist() == [[2.0, 1.0], [0.0, 0.5]]
    assert found.maps[1].tolist() == [[0.5, 0.25], [0.0, 0.125]]
    assert found.layer == "0:act"


def test_before_the_activation_by_hand():
    found = grad_cam(tiny(), IMAGE, np.array([1]), layer="0")
    # The ReLU stops all of unit 1's gradient, and nothing of unit 0's where logit 1 reads it: α = (1/4, 0).
    assert found.maps[0].tolist() == [[0.5, 0.25], [0.0, 0.125]]


def by_formula(model, images, classes, layer):
    """ReLU(Σ_k mean(∂logit/∂A_k)·A_k), one image at a time, resized."""
    network = trace(model, SHAPE)
    node = find_unit_layers(network, [layer])[0].node
    maps = []
    for image, label in zip(images, classes.tolist(), strict=True):
        seen = {}

        def keep(step, value, *_, seen=seen):
            if step.name == node:
                seen["out"] = value

        logits = network.runner.run(image[None].clone().requires_grad_(), keep)
        gradient = torch.autograd.grad(logits[0, label], seen["out"])[0]
        maps.append(sum(gradient[0, k].mean() * seen["out"][0, k] for k in range(gradient.shape[1])).relu())
    resized = nn.functional.interpolate(torch.stack(maps)[:, None], SHAPE[1:], mode="bilinear", align_corners=False)
    return resized[:, 0].detach().numpy()


@pytest.mark.parametrize("name", ["strided", "dilated and grouped", "batch norm", "residual", "branches"])
def test_equals_the_formula_on_random_nets(name):
    model = build(name)
    images = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(1))
    classes = np.array([0, 3, 4])
    found = grad_cam(model, images, classes)
    assert found.maps == pytest.approx(by_formula(model, images, classes, found.layer), abs=1e-5)
    assert found.maps.any()


def test_both_sides_of_a_split_are_on_one_scale():
    model = build("strided")
    images = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(2))
    classes = np.array([1, 2])
    whole = grad_cam(model, images, classes)
    everything = split_grad_cam(model, images, classes, np.arange(4))
    assert everything.chosen == pytest.approx(whole.maps, abs=1e-6)
    assert not everything.others.any()
    halves = split_grad_cam(model, images, classes, np.array([3, 0]))
    assert halves.units.tolist() == [0, 3]
    turned = split_grad_cam(model, images, classes, np.array([1, 2]))
    assert halves.chosen == pytest.approx(turned.others, abs=1e-6)
    assert halves.scale == pytest.approx(np.maximum(halves.chosen, halves.others).max(axis=(1, 2)))


def test_wrong_requests_say_what_was_expected():
    model, images = tiny(), IMAGE
    with pytest.raises(InvalidInputError, match="linear layer"):
        grad_cam(model, images, np.array([0]), layer="3")
    with pytest.raises(InvalidInputError, match="expected one of"):
        grad_cam(model, images, np.array([0]), layer="nothing")
    with pytest.raises(InvalidInputError, match="classes: expected 0 to 1"):
        grad_cam(model, images, np.array([2]))
    with pytest.raises(InvalidInputError, match="N classes"):
        grad_cam(model, images, np.array([0, 1]))
    with pytest.raises(InvalidInputError, match="expected units 0 to 1; got 2"):
        split_grad_cam(model, images, np.array([0]), np.array([2]))


def test_nothing_remains_on_the_model():
    model = tiny().train()
    model[1].eval()
    weights = [p.clone() for p in model.parameters()]

    def cancel(fraction, message):
        raise Cancelled

    grad_cam(model, IMAGE, np.array([0]))
    with pytest.raises(Cancelled):
        grad_cam(model, IMAGE, np.array([0]), progress=cancel)
    assert [module.training for module in model.modules()] == [True, True, False, True, True]
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())
