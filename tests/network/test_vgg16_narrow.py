"""The narrow VGG-16: its names, its size, and that every analysis can run on it."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.hardening.recipes import recipe_for
from engine.network.catalogue import build_model
from engine.network.trace import trace
from engine.network.units import find_unit_layers, unit_layers
from engine.paths.extraction import EffectivePath

CONVOLUTIONS = [f"conv{number}" for number in range(1, 14)]
LINEAR = ["fc1", "fc2", "fc3"]


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_model("vgg16_narrow").eval()


@pytest.fixture(scope="module")
def image():
    return torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_layers_are_named_as_in_the_paper(model):
    layers = {name: part for name, part in model.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)}
    assert list(layers) == CONVOLUTIONS + LINEAR
    widths = [layers[name].out_channels for name in CONVOLUTIONS]
    assert widths == [16, 16, 32, 32, 64, 64, 64, 128, 128, 128, 128, 128, 128]
    assert [layers[name].out_features for name in LINEAR] == [128, 128, 10]
    assert {f"bn{n}" for n in range(1, 14)} <= {name for name, _ in model.named_modules()}
    assert 0.9e6 < sum(parameter.numel() for parameter in model.parameters()) < 1.0e6


def test_a_quarter_of_the_full_width(model):
    full = [part.out_channels for part in build_model("vgg16_32").modules() if isinstance(part, nn.Conv2d)]
    assert [4 * part.out_channels for part in model.modules() if isinstance(part, nn.Conv2d)] == full


def test_the_trace_gives_the_same_logits_and_every_unit_layer(model, image):
    network = trace(model, (3, 32, 32))
    activated = unit_layers(network, activated=True, convolutions=True)
    assert [layer.name for layer in activated] == [f"{name}:act" for name in CONVOLUTIONS]
    assert [layer.name for layer in unit_layers(network)] == CONVOLUTIONS + LINEAR
    assert [layer.units for layer in find_unit_layers(network, ["conv13:act", "fc2", "conv1"])] == [128, 128, 16]


def test_paths_run_through_every_layer(model, image):
    (path,) = EffectivePath(model).extract(image)
    assert list(path.layers) == CONVOLUTIONS + LINEAR
    assert all(len(ids) for ids in path.synapses.values())
    assert 0 < path.density() < 1


def test_a_few_steps_of_its_recipe_learn_something():
    recipe = recipe_for("vgg16_narrow", "cifar10")
    assert (recipe.optimizer, recipe.batch_size, recipe.stored) == ("sgd", 128, "float16")
    random = torch.Generator().manual_seed(3)
    labels = torch.arange(32) % 4
    images = torch.rand(4, 3, 32, 32, generator=random)[labels] * 0.8 + 0.2 * torch.rand(
        32, 3, 32, 32, generator=random
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = build_model("vgg16_narrow", 4)
        optimizer = torch.optim.SGD(fresh.parameters(), recipe.lr, momentum=0.9, nesterov=True)
        losses = []
        for _ in range(12):
            loss = nn.functional.cross_entropy(fresh(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert np.isfinite(losses).all()
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])
