"""What flows into a unit, against the convolution's own sums."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.errors import InvalidInputError
from engine.paths.contributions import incoming
from engine.paths.extraction import EffectivePath
from tests.paths.nets import SHAPE, build


def test_by_hand():
    model = nn.Sequential(nn.Conv2d(2, 1, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2, bias=False)).eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([3.0, 1.0]).view(1, 2, 1, 1))
        model[3].weight.copy_(torch.tensor([[1.0, 1, 1, 1], [0.0, 0, 0, 0]]))
    image = torch.tensor([[[1.0, 0.0], [0.0, 0.5]], [[0.0, 1.0], [0.0, 0.5]]])
    extractor = EffectivePath(model, theta=1.0)
    path = extractor.extract(image[None])[0]
    found = incoming(extractor, image, path, "0", 0)
    # Channel 0 gives 3 at the first pixel and 1.5 at the last; channel 1 gives 1 at the second and 0.5 at the last.
    assert found.channels.tolist() == [0, 1]
    assert found.contributions.tolist() == [4.5, 1.5]
    last = incoming(extractor, image, path, "3", 0)
    assert dict(zip(last.channels.tolist(), last.contributions.tolist(), strict=True)) == {0: 3.0, 1: 1.0, 3: 2.0}
    assert (last.synapses == 1).all()


@pytest.mark.parametrize("name", ["strided", "dilated and grouped", "batch norm", "residual"])
def test_the_contributions_explain_the_neurons_values(name):
    """The selected contributions of a unit sum to at least θ times those of its active neurons."""
    model = build(name)
    image = torch.rand(SHAPE, generator=torch.Generator().manual_seed(3))
    extractor = EffectivePath(model, theta=0.7)
    path = extractor.extract(image[None])[0]
    network = extractor.network(SHAPE)
    recorded = extractor.record(image[None])
    for operation in network.operations.values():
        if operation.layer is None:
            continue
        layer = operation.layer
        bias = np.zeros(layer.shape.out_channels) if layer.bias is None else layer.bias.detach().numpy()
        values = recorded[operation.node][0].reshape(layer.shape.out_channels, -1)
        for unit in range(layer.shape.out_channels):
            found = incoming(extractor, image, path, operation.name, unit)
            per_unit = layer.shape.out_height * layer.shape.out_width
            neurons = np.unique(path.synapses[operation.name] // layer.shape.receptive_field)
            own = neurons[neurons // per_unit == unit] % per_unit
            sums = np.where(values[unit, own] < 0, -1, 1) * (values[unit, own] - bias[unit])
            if (sums > 0).all():
                assert found.contributions.sum() >= 0.7 * sums.sum() - 1e-4
            assert found.synapses.sum() == found.n_synapses


def test_layers_and_units_that_a_path_does_not_have():
    model = build("strided")
    image = torch.rand(SHAPE)
    extractor = EffectivePath(model)
    path = extractor.extract(image[None])[0]
    with pytest.raises(InvalidInputError, match="expected one of 0, 3"):
        incoming(extractor, image, path, "1", 0)
    with pytest.raises(InvalidInputError, match="units 0 to 5; got 6"):
        incoming(extractor, image, path, "0", 6)
