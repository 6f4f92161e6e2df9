"""Gates against a literal implementation with hooks, and what they do to unneeded channels."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from engine.detection.cdrp import gate_features
from engine.errors import Cancelled, InvalidInputError
from tests.paths.nets import SHAPE, build


def literal(model, image, steps=30, rate=0.1, penalty=0.05):
    """One image, torch's own optimiser, gates multiplied in by forward hooks."""
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    gates = [torch.ones(m.out_channels, requires_grad=True) for m in convolutions]
    hooks = [
        m.register_forward_hook(lambda module, given, out, g=g: out * g[None, :, None, None])
        for m, g in zip(convolutions, gates, strict=True)
    ]
    try:
        target = model(image[None]).argmax(1)
        optimiser = torch.optim.SGD(gates, lr=rate, momentum=0.9)
        for _ in range(steps):
            optimiser.zero_grad()
            loss = functional.cross_entropy(model(image[None]), target)
            (loss + penalty * sum(gate.abs().sum() for gate in gates)).backward()
            optimiser.step()
            with torch.no_grad():
                for gate in gates:
                    gate.clamp_(0, 10)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(gates).detach().numpy()


def test_gates_are_those_of_the_literal_optimisation():
    model = build("strided")
    images = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(0))
    found = gate_features(model, images)
    assert found.shape == (3, 10)
    for row, image in zip(found, images, strict=True):
        np.testing.assert_allclose(row, literal(model, image), atol=2e-4)
    assert found.min() >= 0
    assert found.max() <= 10


def test_a_channel_that_nothing_reads_is_closed():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 16, 2)).eval()
    with torch.no_grad():
        model[3].weight[:, 16:32] = 0  # the second channel
    found = gate_features(model, torch.rand(4, 1, 6, 6))
    assert (found[:, 1] == 0).all()
    assert (found[:, [0, 2]] > 0).any()


def test_batches_change_nothing_and_the_model_stays_as_it_was(monkeypatch):
    model = build("residual").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = torch.rand(5, *SHAPE)
    whole = gate_features(model, images, steps=5)
    monkeypatch.setattr("engine.detection.cdrp.BATCH", 2)
    np.testing.assert_allclose(gate_features(model, images, steps=5), whole, atol=1e-5)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_without_convolutions_is_refused():
    with pytest.raises(InvalidInputError, match="convolutions"):
        gate_features(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.rand(1, 1, 2, 2))


def test_it_can_be_stopped():
    def stop(fraction, message):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        gate_features(build("strided"), torch.rand(1, *SHAPE), progress=stop)
