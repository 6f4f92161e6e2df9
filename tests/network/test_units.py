"""Which units a model has, and what it does when some are changed."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.errors import InvalidInputError
from engine.network.catalogue import build_model
from engine.network.intervention import Intervention, outputs_of, run_changed, scaled, transplanted
from engine.network.trace import trace
from engine.network.units import find_unit_layers, unit_layers
from engine.paths.extraction import EffectivePath
from tests.paths.nets import SHAPE, build


def names(model, shape, **options):
    return [layer.name for layer in unit_layers(trace(model, shape), **options)]


def test_layers_before_and_after_their_activation():
    model = build_model("lenet5")
    assert names(model, (1, 28, 28)) == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert names(model, (1, 28, 28), activated=True) == ["conv1:act", "conv2:act", "fc1:act", "fc2:act", "fc3"]
    assert names(model, (1, 28, 28), convolutions=True) == ["conv1", "conv2"]


def test_a_convolution_before_a_sum_has_no_activation_of_its_own():
    assert names(build("residual"), SHAPE, activated=True) == ["stem:act", "body", "head"]
    blocks = names(build_model("resnet18_32"), (3, 32, 32), activated=True, convolutions=True)
    assert blocks[:5] == ["conv1:act", "layer1.0.conv1:act", "layer1.0.conv2", "layer1.1.conv1:act", "layer1.1.conv2"]


def test_pooling_and_batch_norm_may_stand_between():
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.MaxPool2d(3), nn.Dropout(), nn.ReLU(),
                          nn.Flatten(), nn.Linear(18, 4)).eval()  # fmt: skip
    layer = unit_layers(trace(model, SHAPE), activated=True)[0]
    assert (layer.name, layer.shape, layer.units) == ("0:act", (2, 3, 3), 2)


def test_an_activation_behind_a_flatten_is_not_the_channels_own():
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.ReLU(), nn.Linear(162, 4)).eval()
    assert names(model, SHAPE, activated=True) == ["0", "3"]


def test_models_without_convolutions_and_unknown_layers_are_refused():
    network = trace(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).eval(), (3, 2, 2))
    with pytest.raises(InvalidInputError, match="with convolutions"):
        unit_layers(network, convolutions=True)
    with pytest.raises(InvalidInputError, match="expected one of 1; got '1:act'"):
        find_unit_layers(network, ["1:act"])


@pytest.fixture
def strided():
    return build("strided"), torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(4))


def test_scaling_units_equals_scaling_them_in_the_model(strided):
    model, images = strided
    network = trace(model, SHAPE)
    layers = unit_layers(network, activated=True)
    got = run_changed(network, images, scaled(layers, {"0:act": np.array([1, 4]), "6:act": np.array([0])}, 0.5))
    factor = torch.ones(6)
    factor[[1, 4]] = 0.5
    hidden = model[2:8](model[:2](images) * factor.view(-1, 1, 1))
    hidden[:, 0] *= 0.5
    assert torch.allclose(got, model[8](hidden), atol=1e-5)


def test_transplanting_a_whole_layer_gives_the_logits_of_the_donors(strided):
    model, images = strided
    network = trace(model, SHAPE)
    layers = unit_layers(network, activated=True)
    donors = outputs_of(network, images.flip(0), layers)
    for layer in layers:
        got = run_changed(network, images, transplanted(layers, {layer.name: np.arange(layer.units)}, donors))
        assert torch.allclose(got, donors[network.output.node], atol=1e-5)


def test_another_kernel_is_used_and_the_model_keeps_its_own(strided):
    model, images = strided
    network = trace(model, SHAPE)
    before = model(images)
    node = find_unit_layers(network, ["3"])[0].node
    got = run_changed(network, images, Intervention(kernels={node: torch.zeros_like(model[3].weight)}))
    assert torch.allclose(got, model[4:](model[3].bias.view(1, -1, 1, 1).expand(4, -1, 2, 2)), atol=1e-5)
    assert torch.equal(model(images), before)
    with pytest.raises(InvalidInputError, match="expected a kernel"):
        run_changed(network, images, Intervention(kernels={node: torch.zeros(1)}))


def test_units_that_do_not_exist_are_refused(strided):
    layers = unit_layers(trace(strided[0], SHAPE), activated=True)
    with pytest.raises(InvalidInputError, match="expected units 0 to 5; got 6"):
        scaled(layers, {"0:act": np.array([6])}, 0.0)
    with pytest.raises(InvalidInputError, match="got 'nowhere'"):
        scaled(layers, {"nowhere": np.array([0])}, 0.0)


def test_the_path_of_a_changed_network_avoids_deactivated_units(strided):
    model, images = strided
    layers = unit_layers(trace(model, SHAPE), activated=True)
    plain = EffectivePath(model).extract(images)
    used = np.unique(plain[0].neurons["0"] // 36)
    off = scaled(layers, {"0:act": used[:1]}, 0.0)
    changed = EffectivePath(model, intervention=off).extract(images)
    assert not (changed[0].neurons["0"] // 36 == used[0]).any()
    assert EffectivePath(model, intervention=scaled(layers, {"0:act": used}, 1.0)).extract(images) == plain
