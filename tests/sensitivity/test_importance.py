"""Importance by hand, against the last layer's inputs taken with hooks, and where it has no meaning."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.errors import InvalidInputError
from engine.network.trace import trace
from engine.sensitivity import stream
from engine.sensitivity.importance import unit_importance
from engine.sensitivity.measuring import measure
from engine.sensitivity.penultimate import penultimate_units
from engine.sensitivity.stream import PairStream
from tests.paths.nets import SHAPE, build
from tests.sensitivity.nets import pairs_of, random_pairs, rows, seen_by, tiny


def test_importance_and_votes_are_those_worked_out_by_hand():
    adversarial = rows([0.5, 1], [1, 0], [0, 1], [1, 1])
    pairs = pairs_of(adversarial, adversarial, labels=[1, 1, 0, 2], predictions=[0, 0, 1, 2])
    found = unit_importance(tiny(kernels=(1.0, 2.0)), pairs)
    # The last layer reads (a, b, 2a, 2b). Class 0 weighs it (1, 2, 3, −1), class 1 (0, 1, 0, 2).
    # copy 0 → class 0: unit 0 gives 0.5 + 2 = 2.5, unit 1 gives 3 − 2 = 1
    # copy 1 → class 0: unit 0 gives 1, unit 1 gives 6
    # copy 2 → class 1: unit 0 gives 1, unit 1 gives 4; copy 3 was not misled
    np.testing.assert_array_equal(found.images, [2, 1, 0])
    np.testing.assert_array_equal(found.mean[:2], [[1.75, 3.5], [1, 4]])
    assert np.isnan(found.mean[2]).all()
    np.testing.assert_array_equal(found.votes, [[2 + 1, 1 + 2], [1, 2], [0, 0]])
    assert (found.layer, found.k, found.classes) == ("0:act", 2, (0, 1))
    np.testing.assert_array_equal(found.top(0), [0, 1])  # equal votes: the lower id first
    np.testing.assert_array_equal(found.top(1), [1, 0])
    with pytest.raises(InvalidInputError, match="got 2"):
        found.top(2)


def test_only_the_first_k_units_are_voted_for():
    adversarial = rows([0.5, 1], [1, 0])
    pairs = pairs_of(adversarial, adversarial, labels=[1, 1], predictions=[0, 0])
    np.testing.assert_array_equal(unit_importance(tiny((1.0, 2.0)), pairs, k=1).votes[0], [1, 1])
    with pytest.raises(InvalidInputError, match="at least 1"):
        unit_importance(tiny(), pairs, k=0)


ENDS = {  # the last layer, and the penultimate units
    "strided": ("8", "6:act", 8), "dilated and grouped": ("10", "5:act", 6), "batch norm": ("8", "3:act", 6),
    "residual": ("head", "relu_1", 4), "branches": ("head", "shared#2", 5),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_random_nets_give_what_a_loop_over_images_and_elements_gives(name):
    last, layer, units = ENDS[name]
    model, pairs, k = build(name).double(), random_pairs(count=12), 3
    found = unit_importance(model, pairs, k=k)
    read = seen_by(model, pairs.adversarial, [last], inputs=True)[last]
    weight = dict(model.named_modules())[last].weight.detach().numpy()
    mean, votes, images = np.zeros((5, units)), np.zeros((5, units), int), np.zeros(5, int)
    for row, (label, reached) in enumerate(zip(pairs.labels, pairs.predictions, strict=True)):
        if label == reached:
            continue
        importance = np.zeros(units)
        for element in range(read.shape[1]):
            importance[element * units // read.shape[1]] += read[row, element] * weight[reached, element]
        mean[reached] += importance
        images[reached] += 1
        for place, unit in enumerate(sorted(range(units), key=lambda m: (-importance[m], m))[:k]):
            votes[reached, unit] += k - place
    assert found.layer == layer
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(found.votes, votes)
    for label in found.classes:
        np.testing.assert_allclose(found.mean[label], mean[label] / images[label], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ENDS)
def test_importance_adds_up_to_the_logit(name):
    model, pairs = build(name).double(), random_pairs(count=1, seed=2)
    pairs.labels[0], pairs.predictions[0] = 1, 4
    bias = dict(model.named_modules())[ENDS[name][0]].bias[4]
    logit = model(pairs.adversarial.double())[0, 4] - bias
    assert unit_importance(model, pairs).mean[4].sum() == pytest.approx(float(logit.detach()), rel=1e-9)


@pytest.mark.parametrize("name", ENDS)
def test_the_penultimate_units_can_be_measured(name):
    pairs = random_pairs()
    network = trace(build(name), SHAPE)
    layer = measure(network, (penultimate_units(network).layer,), PairStream(pairs)).layers[0]
    assert (layer.name, layer.units) == ENDS[name][1:]
    assert (layer.values > 0).any()


class Rearranged(nn.Module):
    """Its last layer reads channels last, behind one element of padding, from two convolutions laid side by side."""

    def __init__(self, joined):
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 2, 5, stride=3), nn.Conv2d(3, 3, 5, stride=3)
        self.joined = joined
        self.head = nn.Linear((5 if joined else 3) * 9 + 1, 5)

    def forward(self, x):
        y = torch.relu(self.right(x))
        y = torch.cat([torch.relu(self.left(x)), y], dim=1) if self.joined else y
        return self.head(nn.functional.pad(y.permute(0, 2, 3, 1).flatten(1), (1, 0), value=1.0))


@pytest.mark.parametrize(("joined", "units"), [(False, 3), (True, 5)])
def test_elements_find_their_unit_through_rearrangement_and_padding(joined, units):
    torch.manual_seed(0)
    model, pairs = Rearranged(joined).double().eval(), random_pairs(count=1, seed=2)
    pairs.labels[0], pairs.predictions[0] = 1, 4
    read = seen_by(model, pairs.adversarial, ["head"], inputs=True)["head"][0]
    parts = (read * model.head.weight.detach().numpy()[4])[1:].reshape(9, units).sum(axis=0)
    np.testing.assert_allclose(unit_importance(model, pairs).mean[4], parts, rtol=1e-9)


class PooledRows(nn.Module):
    """Its last layer reads the mean of each row over all channels, so no channel of the convolution is its unit."""

    def __init__(self):
        super().__init__()
        self.convolution, self.head = nn.Conv2d(3, 4, 5, stride=3), nn.Linear(3, 5)

    def forward(self, x):
        rows = torch.relu(self.convolution(x)).permute(0, 2, 1, 3)
        return self.head(nn.functional.adaptive_avg_pool2d(rows, 1).flatten(1))


def test_a_pooling_over_channels_makes_the_rows_the_units():
    model, pairs = PooledRows().double(), random_pairs(count=1, seed=2)
    pairs.labels[0], pairs.predictions[0] = 1, 4
    read = seen_by(model, pairs.adversarial, ["head"], inputs=True)["head"][0]
    found = unit_importance(model, pairs)
    assert found.layer == "permute"
    np.testing.assert_allclose(found.mean[4], read * model.head.weight.detach().numpy()[4])


def test_batches_do_not_change_it(monkeypatch):
    model, pairs = build("dilated and grouped").double(), random_pairs(count=12)
    whole = unit_importance(model, pairs)
    monkeypatch.setattr(stream, "BATCH", 5)
    for split in (unit_importance(model, pairs), unit_importance(model, pairs.batches(1))):
        np.testing.assert_array_equal(split.votes, whole.votes)
        np.testing.assert_allclose(split.mean, whole.mean, rtol=1e-9)


def test_without_a_linear_layer_before_the_logits_there_is_no_importance():
    pooled = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(InvalidInputError, match="logits come from a linear layer"):
        unit_importance(pooled, random_pairs())
    direct = nn.Sequential(nn.Flatten(), nn.Linear(363, 5))
    with pytest.raises(InvalidInputError, match="reads the image itself"):
        unit_importance(direct, random_pairs())


def test_nan_and_foreign_predictions_are_refused():
    pairs = random_pairs()
    pairs.adversarial[:] = torch.nan
    with pytest.raises(InvalidInputError, match="finite activations"):
        unit_importance(build("strided"), pairs)
    with pytest.raises(InvalidInputError, match="predictions from 0 to 4"):
        unit_importance(build("strided"), random_pairs(classes=50))
