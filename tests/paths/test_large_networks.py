"""ImageNet-size networks: a sample of rows of every layer against the formula, and nearly every layer reached."""

import numpy as np
import pytest
import torch

from engine import EffectivePath
from engine.network.catalogue import architecture, build_model
from engine.network.initialisation import he_initialise
from engine.network.operations import Kind
from tests.paths.reference import ReferencePath

ROWS = 4
NETWORKS = (
    "alexnet",
    "vgg16",
    "resnet18",
    "resnet50",
    "inception_v3",
    "inception_v4",
    "resnetv2_50",
    "timm/seresnet50",
)


def explain_rows(reference, path, name, random):
    """Explains a few active neurons of a layer; returns the synapses that the path holds of them."""
    operation = next(op for op in reference.network.operations.values() if op.name == name and op.kind is Kind.LAYER)
    shape, neurons = operation.layer.shape, path.neurons[name]
    for neuron in random.choice(neurons, min(ROWS, len(neurons)), replace=False):
        place = np.unravel_index(int(neuron), (shape.out_channels, shape.out_height, shape.out_width))
        reference.explain_layer(operation, (int(place[0]),) if operation.layer.is_linear else tuple(map(int, place)))
    own = np.isin(path.synapses[name] // shape.receptive_field, sorted(reference.neurons[name]))
    return set(path.synapses[name][own].tolist())


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_rows_of_every_layer_are_those_of_the_formula(name):
    model = build_model(name).eval()
    he_initialise(model, 0)
    image = torch.rand(architecture(name).facts["image_shape"], generator=torch.Generator().manual_seed(0))
    extractor = EffectivePath(model)
    path = extractor.extract(image[None])[0]
    reference = ReferencePath.of_rows(extractor, image)
    random = np.random.default_rng(0)
    for layer in path.layers:
        assert explain_rows(reference, path, layer, random) == reference.synapses[layer], layer
    used = sum(len(path.synapses[layer]) > 0 for layer in path.layers)
    assert used >= 0.9 * len(path.layers)  # single branches of an Inception block may carry nothing


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet_b0", "densenet121", "regnety_004", "ghostnet_100", "dla34"])
def test_other_networks_of_timm_have_a_path(name):
    model = build_model(f"timm/{name}", classes=7, image_shape=(3, 64, 64)).eval()
    path = EffectivePath(model).extract(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))[0]
    assert len(path.layers) > 30
    assert len(path.synapses[path.layers[-1]]) > 0
    assert len(path.synapses[path.layers[0]]) > 0
