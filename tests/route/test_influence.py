"""The sweep against answers by hand and against the literal formula, element by element."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from engine.errors import InvalidInputError
from engine.network.trace import trace
from engine.route.gradients import unit_gradients
from engine.route.influence import count_of, top
from engine.route.layers import last_layers, named_layers, route_layers
from engine.route.routes import instance_routes
from tests.route.nets import (
    FACTORIES,
    SHAPE,
    TinyResidual,
    build,
    build_overlapping,
    by_hand,
    images,
    joined,
    set_weights,
)
from tests.route.reference import influence_on, literal_route, loss_gradients

LABELS = (0, 1, 2, 1)


def test_two_layers_by_hand():
    # first layer [1, ½] and [0, ½]; second [2, 0] (it would be −½) and [1, 1]; logits 6 and 4
    found = instance_routes(by_hand(), torch.tensor([[[[1.0, 0.5]]]]), [0], share=0.5)
    wrong = 1 / (1 + math.exp(2))  # probability of class 1
    assert found.layers == ("0:act", "2:act")
    first, second = found.layers
    np.testing.assert_allclose(found.gradients[second], [[6 * wrong, 4 * wrong]], rtol=1e-5)
    np.testing.assert_array_equal(found.influence[second], found.gradients[second])
    np.testing.assert_array_equal(found.chosen[second], [[True, False]])
    np.testing.assert_array_equal(found.influence[first], [[2, 3]])  # through the one active element
    np.testing.assert_array_equal(found.chosen[first], [[False, True]])
    # elements of the first layer: −6 + 2 and 2 by unit 0, 9 + 2 and 2 by unit 1, times the probability
    np.testing.assert_allclose(found.gradients[first], [[(4 + 2) * wrong, (11 + 2) * wrong]], rtol=1e-5)


def test_the_paths_through_a_residual_block_add_up():
    found = instance_routes(TinyResidual(), torch.ones(1, 1, 1, 1), [0])
    assert found.layers == ("first:act", "branch", "last")
    assert found.influence["branch"] == 3
    assert found.influence["first:act"] == 2 + 3  # by the branch and past it, where the whole derivative is |3 − 6|


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("name", FACTORIES)
def test_one_sweep_gives_what_the_formula_gives_element_by_element(name, share):
    model, batch = build(name), images(4)
    found = instance_routes(model, batch, LABELS, share=share)
    for row, (image, label) in enumerate(zip(batch.double(), LABELS, strict=True)):
        influence, chosen = literal_route(model, image, label, share)
        for layer, scores, units in zip(found.layers, influence, chosen, strict=True):
            np.testing.assert_allclose(found.influence[layer][row], scores.numpy(), rtol=1e-9)
            assert np.flatnonzero(found.chosen[layer][row]).tolist() == units
        for layer, sums in zip(found.layers, loss_gradients(model, image, label), strict=True):
            np.testing.assert_allclose(found.gradients[layer][row], sums.numpy(), rtol=1e-9, atol=1e-15)


def test_the_gradients_alone_are_those_of_the_routes():
    model, batch = build("batch norm"), images(4)
    alone, found = unit_gradients(model, batch, LABELS), instance_routes(model, batch, LABELS)
    assert list(alone) == list(found.layers)
    for layer in found.layers:
        np.testing.assert_allclose(alone[layer], found.gradients[layer], rtol=1e-12)


def test_overlapping_pooling_gives_an_upper_bound():
    model, batch = build_overlapping(), images(4)
    found = instance_routes(model, batch, LABELS, share=0.5)
    first, last = found.layers
    larger = []
    for row, image in enumerate(batch.double()):
        before = model[:2](image[None])
        exact = influence_on(model[2:5], before, np.flatnonzero(found.chosen[last][row]).tolist()).numpy()
        assert (found.influence[first][row] >= exact * (1 - 1e-9)).all()
        larger.append(found.influence[first][row] > exact * (1 + 1e-6))
    assert np.any(larger)


def test_the_gate_is_a_constant_and_parts_find_their_way():
    model, batch = joined().double(), images(3)
    found = instance_routes(model, batch, [0, 1, 2], share=0.5)
    assert found.layers == ("left:act", "right:act", "joint:act", "side", "grouped:act")
    for row, image in enumerate(batch.double()):
        joint = torch.cat([torch.relu(model.left(image[None])), torch.relu(model.right(image[None]))], dim=1)
        total = (torch.relu(model.joint(joint)) + model.side(joint)).detach()
        gate = torch.sigmoid(total.mean((2, 3), keepdim=True))
        units = np.flatnonzero(found.chosen["grouped:act"][row]).tolist()
        on_sum = influence_on(
            lambda x, gate=gate: torch.relu(model.grouped(torch.max_pool2d(x * gate, 2))), total, units
        )
        np.testing.assert_allclose(found.influence["side"][row], on_sum.numpy(), rtol=1e-9)
        np.testing.assert_allclose(found.influence["joint:act"][row], on_sum.numpy(), rtol=1e-9)
        on_joint = torch.zeros(5, dtype=torch.float64)
        for name, block in (("joint:act", lambda x: torch.relu(model.joint(x))), ("side", model.side)):
            on_joint += influence_on(block, joint, np.flatnonzero(found.chosen[name][row]).tolist())
        both = np.concatenate([found.influence["left:act"][row], found.influence["right:act"][row]])
        np.testing.assert_allclose(both, on_joint.numpy(), rtol=1e-9)


def test_several_last_layers_start_from_their_own_gradients():
    class TwoHeads(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = set_weights(nn.Conv2d(1, 1, 1), [1])
            self.up = set_weights(nn.Conv2d(1, 1, 1), [2])
            self.down = set_weights(nn.Conv2d(1, 1, 1), [-3])
            self.head = set_weights(nn.Linear(2, 2), [[1, 0], [0, 1]])

        def forward(self, x):
            x = self.stem(x)
            return self.head(torch.cat([self.up(x), self.down(x)], dim=1).flatten(1))

    model = TwoHeads()
    assert last_layers(trace(model, (1, 1, 1))) == {"up", "down"}
    found = instance_routes(model, torch.ones(1, 1, 1, 1), [1])
    assert found.influence["stem"] == 2 + 3
    np.testing.assert_allclose(found.influence["up"], 1 / (1 + math.exp(-5)), rtol=1e-5)


def test_named_layers_come_in_execution_order_and_others_are_refused():
    network = trace(build("plain"), SHAPE)
    names = [layer.name for layer in route_layers(network)]
    assert [layer.name for layer in named_layers(network, reversed(names))] == names
    with pytest.raises(InvalidInputError, match=r"expected one of 0:act.*'8'"):
        named_layers(network, ["8"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.floats(0.01, 1))
def test_the_top_share_holds_the_highest_scores_and_of_equal_ones_the_first(scores, share):
    chosen = np.flatnonzero(top(torch.tensor([scores], dtype=torch.float64), share)[0].numpy()).tolist()
    best = sorted(range(len(scores)), key=lambda unit: (-scores[unit], unit))
    assert len(chosen) == count_of(share, len(scores)) >= 1
    assert chosen == sorted(best[: len(chosen)])


def test_shares_are_rounded_up():
    assert [count_of(0.2, units) for units in (1, 5, 6, 10, 64)] == [1, 1, 2, 2, 13]
    assert count_of(0.1, 30) == 3


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InvalidInputError, match="share"):
        instance_routes(build("plain"), images(1), [0], share=share)


def test_a_model_that_answers_nothing_of_use_is_refused():
    broken = copy.deepcopy(build("plain"))
    with torch.no_grad():
        broken[0].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(InvalidInputError, match="finite gradients"):
        instance_routes(broken, images(1), [0])
    with pytest.raises(InvalidInputError, match="classes from 0 to 2"):
        instance_routes(build("plain"), images(1), [3])
    with pytest.raises(InvalidInputError, match="convolutions"):
        instance_routes(nn.Sequential(nn.Flatten(), nn.Linear(128, 3)), images(1), [0])
