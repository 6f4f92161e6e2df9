"""Transplant, deactivation and weakening over a data set and live, and the units drawn for their control."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from engine.errors import InvalidInputError
from engine.network.intervention import run_changed
from engine.network.trace import trace
from engine.route.connections import connections, weakened
from engine.route.control import controls, random_others
from engine.route.experiments import deactivation, transplant, weakening
from engine.route.live import intervene
from tests.route.nets import SHAPE, TinyResidual, build, images, joined


def right(model, batch, labels):
    with torch.no_grad():
        return float((model(batch).argmax(dim=1).numpy() == labels).mean())


def all_units(sizes):
    return {name: np.arange(count) for name, count in sizes.items()}


def test_transplanting_the_route_is_set_beside_as_many_others(model, pairs, route):
    found = transplant(model, pairs, route.chosen, draws=3, seed=1)
    assert found.misled == pairs.misled.sum() > 10
    assert [one.layers for one in found.single] == [("conv1:act",), ("conv2:act",)]
    assert [one.layers for one in found.cumulative] == [("conv1:act",), ("conv1:act", "conv2:act")]
    assert [(one.units, one.control_units) for one in found.cumulative] == [(2, 2), (7, 7)]
    for one in (*found.single, *found.cumulative):
        assert one.repaired.control.shape == (3,)
        assert 0 <= one.repaired.route <= 1
        assert one.repaired.mean == pytest.approx(one.repaired.control.mean())
    again = transplant(model, pairs, route.chosen, draws=3, seed=1)
    np.testing.assert_array_equal(again.single[1].repaired.control, found.single[1].repaired.control)


def test_transplanting_is_what_replacing_activations_in_the_model_is(model, pairs, route):
    misled = pairs.of(pairs.misled)
    with torch.no_grad():
        clean, attacked = torch.relu(model.conv1(model.normalize(misled.clean))), None
        attacked = torch.relu(model.conv1(model.normalize(misled.adversarial)))
        units = route.chosen["conv1:act"]
        attacked[:, units] = clean[:, units]
        x = model.pool2(torch.relu(model.conv2(model.pool1(attacked)))).flatten(1)
        logits = model.fc3(torch.relu(model.fc2(torch.relu(model.fc1(x)))))
    expected = (logits.argmax(1).numpy() == misled.labels).mean()
    found = transplant(model, pairs, {"conv1:act": units}, draws=1)
    assert found.single[0].repaired.route == pytest.approx(expected)


def test_transplanting_all_units_repairs_every_image_and_leaves_none_for_the_control(model, pairs, route):
    found = transplant(model, pairs, all_units(route.sizes), draws=2)
    for one in (*found.single, *found.cumulative):
        assert one.repaired.route == 1
        assert one.control_units == 0
        assert one.repaired.control.tolist() == [0, 0]


@pytest.mark.parametrize("name", ["conv1:act", "conv2:act"])
def test_with_all_units_of_any_layer_transplanted_the_copies_change_places(model, pairs, route, name):
    found = intervene(model, pairs.clean[:6], pairs.adversarial[:6], {name: np.arange(route.sizes[name])}, "transplant")
    np.testing.assert_array_equal(found.adversarial_after, found.clean_before)
    np.testing.assert_array_equal(found.clean_after, found.adversarial_before)
    half = intervene(
        model, pairs.clean[:6], pairs.adversarial[:6], {name: np.arange(route.sizes[name])}, "transplant", 1.0
    )
    np.testing.assert_array_equal(half.adversarial_after, half.adversarial_before)


def test_without_misled_images_nothing_can_be_repaired(model, pairs, route):
    found = transplant(model, pairs.of(~pairs.misled), route.chosen)
    assert found.misled == 0
    assert np.isnan(found.single[0].repaired.route)


def test_deactivating_no_unit_changes_nothing(model, pairs, route):
    nothing = {name: np.empty(0, np.int64) for name in route.chosen}
    for one in deactivation(model, pairs, nothing, draws=1):
        assert one.clean.route == one.clean.control == 1
        assert one.adversarial.route == (~pairs.misled).mean()


def test_deactivating_units_is_what_zero_kernels_are(model, pairs, route):
    for one in deactivation(model, pairs, route.chosen, draws=2, seed=3):
        changed = copy.deepcopy(model)
        layer = getattr(changed, one.layer.removesuffix(":act"))
        with torch.no_grad():
            layer.weight[route.chosen[one.layer]] = 0
            layer.bias[route.chosen[one.layer]] = 0
        assert one.clean.route == pytest.approx(right(changed, pairs.clean, pairs.labels))
        assert one.adversarial.route == pytest.approx(right(changed, pairs.adversarial, pairs.labels))
        assert one.units == one.control_units == len(route.chosen[one.layer])
        assert one.clean.control.shape == one.adversarial.control.shape == (2,)


def test_weakening_by_one_changes_nothing_and_by_zero_is_what_zero_weights_are(model, pairs, route):
    (found,) = weakening(model, pairs, route.chosen, betas=(1.0, 0.0), draws=2)
    assert found.layers == ("conv1:act", "conv2:act")
    assert found.clean.route[0] == 1
    assert found.clean.control[:, 0].tolist() == [1, 1]
    assert found.adversarial.route[0] == (~pairs.misled).mean()
    changed, weights = copy.deepcopy(model), 0
    with torch.no_grad():
        for unit in route.chosen["conv2:act"]:
            for source in route.chosen["conv1:act"]:
                changed.conv2.weight[unit, source] = 0
                weights += changed.conv2.weight[unit, source].numel()
    assert found.clean.route[1] == pytest.approx(right(changed, pairs.clean, pairs.labels))
    assert found.adversarial.route[1] == pytest.approx(right(changed, pairs.adversarial, pairs.labels))
    assert found.weights == weights
    assert found.control_weights.tolist() == [weights, weights]


def test_weakening_grouped_convolutions_cuts_the_weights_between_the_chosen_units():
    model, batch = build("strided and grouped").float(), images(5)
    chosen = {"0:act": np.array([0, 3, 4]), "2:act": np.array([1, 2, 5]), "5": np.array([0, 2])}
    network = trace(model, SHAPE)
    logits = run_changed(network, batch, weakened(connections(network), chosen, 0.25))
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for reader, source, place, groups in (("2:act", "0:act", 2, 3), ("5", "2:act", 5, 2)):
            weight = changed[place].weight
            per_group_in, per_group_out = weight.shape[1], weight.shape[0] // groups
            for unit in chosen[reader]:
                for channel in chosen[source]:
                    if channel // per_group_in == unit // per_group_out:
                        weight[unit, channel % per_group_in] *= 0.25
        torch.testing.assert_close(logits, changed(batch))


def test_channels_are_followed_through_joins_sums_gates_and_poolings():
    links = {link.reader.name: link for link in connections(trace(joined(), SHAPE))}
    assert list(links) == ["joint:act", "side", "grouped:act"]
    for name in ("joint:act", "side"):
        assert links[name].sources == ("left:act", "right:act")
        np.testing.assert_array_equal(links[name].carried["left:act"], np.eye(2, 5, dtype=bool))
        np.testing.assert_array_equal(links[name].carried["right:act"], np.eye(3, 5, k=2, dtype=bool))
    assert links["grouped:act"].sources == ("joint:act", "side")
    for carried in links["grouped:act"].carried.values():
        np.testing.assert_array_equal(carried, np.eye(4, dtype=bool))
    units = {"side": np.array([3]), "grouped:act": np.array([0, 2])}
    expected = np.zeros((4, 2), dtype=bool)
    expected[2, 1] = True  # channel 3 is the second of the second group, which only outputs 2 and 3 read
    np.testing.assert_array_equal(links["grouped:act"].weights_between(units), expected)


def test_a_shuffled_channel_is_found_where_it_went():
    class Shuffled(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.head = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 2, 1), nn.Linear(2, 3)

        def forward(self, x):
            first, second = torch.relu(self.first(x)).chunk(2, dim=1)
            x = self.second(torch.cat([second, first], dim=1))
            return self.head(x.mean((2, 3)))

    (link,) = connections(trace(Shuffled().eval(), SHAPE))
    np.testing.assert_array_equal(link.carried["first:act"], np.roll(np.eye(4, dtype=bool), 2, axis=1))


def test_a_residual_block_is_weakened_on_both_its_sources_and_all_at_once():
    model = TinyResidual()
    with torch.no_grad():
        model.head.bias.copy_(torch.tensor([0.0, 1.0]))
    links = connections(trace(model, (1, 1, 1)))
    assert [(link.sources, link.reader.name) for link in links] == [
        (("first:act",), "branch"), (("first:act", "branch"), "last"),
    ]  # fmt: skip
    one = torch.ones(1, 1, 1, 1)
    everything = {name: np.array([0]) for name in ("first:act", "branch", "last")}
    found = intervene(model, one, one, everything, "weaken", 0.5)
    np.testing.assert_allclose(found.clean_before, [[12, -11]])  # 3 · (1 + 5 − 2)
    np.testing.assert_allclose(found.clean_after, [[7.5, -6.5]])  # 1.5 · (1 + 5 − 1)
    cut = intervene(model, one, one, {"first:act": np.array([0]), "last": np.array([0])}, "weaken")
    np.testing.assert_allclose(cut.clean_after, [[0, 1]])


def test_live_deactivation_gives_the_interventions_it_ran(model, pairs, route):
    network = trace(model, (1, 28, 28))
    found = intervene(network, pairs.clean[:3], pairs.adversarial[:3], route.chosen, "deactivate", 0.25)
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(found.clean_before).float(), model(pairs.clean[:3]))
        torch.testing.assert_close(torch.from_numpy(found.adversarial_before).float(), model(pairs.adversarial[:3]))
    for images_, change, logits in (
        (pairs.clean, found.clean, found.clean_after), (pairs.adversarial, found.adversarial, found.adversarial_after),
    ):  # fmt: skip
        np.testing.assert_array_equal(run_changed(network, images_[:3], change).double().numpy(), logits)
    assert not np.allclose(found.clean_after, found.clean_before)


@pytest.mark.parametrize(
    ("chosen", "kind", "factor", "message"),
    [
        ({"conv1:act": np.array([0])}, "explode", 0.0, "'explode'"),
        ({"conv1:act": np.array([0])}, "deactivate", 1.5, "factor from 0 to 1"),
        ({"conv3:act": np.array([0])}, "deactivate", 0.0, "conv3:act"),
        ({"conv1:act": np.array([6])}, "transplant", 0.0, "units 0 to 5"),
        ({"conv1:act": np.array([0])}, "weaken", 0.0, "no weights"),
    ],
)
def test_interventions_that_make_no_sense_are_refused(model, pairs, chosen, kind, factor, message):
    with pytest.raises(InvalidInputError, match=message):
        intervene(model, pairs.clean[:1], pairs.adversarial[:1], chosen, kind, factor)
    with pytest.raises(InvalidInputError, match="as many copies"):
        intervene(model, pairs.clean[:1], pairs.adversarial[:2], {"conv1:act": np.array([0])}, "deactivate")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), st.data(), st.integers(0, 5))
def test_controls_are_disjoint_from_the_route_and_as_many_as_there_are(units, data, seed):
    chosen = np.array(sorted(data.draw(st.sets(st.integers(0, units - 1)))), dtype=np.int64)
    drawn = random_others({"a": chosen}, {"a": units, "b": 3}, seed=seed)
    assert list(drawn) == ["a"]
    assert not set(drawn["a"]) & set(chosen)
    assert len(set(drawn["a"])) == len(drawn["a"]) == min(len(chosen), units - len(chosen))
    assert (np.diff(drawn["a"]) > 0).all()
    np.testing.assert_array_equal(drawn["a"], random_others({"a": chosen}, {"a": units}, seed=seed)["a"])


def test_draws_differ_and_can_be_fewer_than_the_route():
    chosen = {"a": np.arange(10)}
    first, second = controls(chosen, {"a": 100}, 2, 0)
    assert first["a"].tolist() != second["a"].tolist()
    assert len(random_others(chosen, {"a": 100}, {"a": 4})["a"]) == 4
    with pytest.raises(InvalidInputError, match="draws"):
        controls(chosen, {"a": 100}, 0, 0)
    with pytest.raises(InvalidInputError, match="one of the layers b"):
        random_others(chosen, {"b": 5})
