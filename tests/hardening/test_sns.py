"""Which units SNS holds still, what it freezes, and what is seen of the units while the model trains."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from engine.attacks.pairs import attack_pairs
from engine.attacks.pgd_linf import PGDLinf
from engine.errors import InvalidInputError, UnsupportedOperationError
from engine.hardening.capture import Taps
from engine.hardening.freezing import frozen_before, kernel_of
from engine.hardening.hardening import harden
from engine.hardening.methods.route_gradient import RouteGradient
from engine.hardening.methods.sns import SNS, stabilised_layers
from engine.hardening.selection import PART, random_units
from engine.network.catalogue import build_model
from engine.network.trace import trace
from engine.network.units import unit_layers
from engine.progress import silent
from engine.route.routes import model_route
from engine.sensitivity.measuring import unit_sensitivity
from tests.hardening.nets import few, job_of, lenet, normed, toy_data

FAST = {"epsilon": 0.1, "steps": 2, "relative_step": 0.6}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On nets of this size threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data():
    return toy_data()


@pytest.fixture
def parent(data):
    return normed(data)


def objective_of(method, parent, data, **changes):
    objective = method.objective(job_of(copy.deepcopy(parent.module), data.train, **changes))
    objective.prepare(silent)
    return objective


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_sensitive_units_are_those_of_the_sensitivity_analysis(data, parent, share):
    objective = objective_of(SNS(share=share, selection_images=40, first_layer=1, **FAST), parent, data, seed=5)
    pairs = attack_pairs(parent.module, data.train, PGDLinf(**FAST), n_images=40, seed=5)
    measured = unit_sensitivity(parent.module, pairs, layers=["conv1", "conv2", "conv3"])
    expected = {layer.name: sorted(layer.top_share(share).tolist()) for layer in measured.layers}
    assert {name: units.tolist() for name, units in objective.units.items()} == expected
    assert len(pairs) <= PART


def test_units_are_chosen_from_many_images_part_by_part(data, parent, monkeypatch):
    whole = objective_of(SNS(share=0.5, **FAST), parent, data).units
    monkeypatch.setattr("engine.hardening.selection.PART", 7)
    parts = objective_of(SNS(share=0.5, **FAST), parent, data).units
    assert [len(units) for units in parts.values()] == [len(units) for units in whole.values()]


def test_all_and_random_units(data, parent):
    every = objective_of(SNS(units="all", first_layer=2), parent, data).units
    assert {name: units.tolist() for name, units in every.items()} == {"conv2": [*range(6)], "conv3": [*range(8)]}
    method = SNS(units="rand", share=0.4, first_layer=2)
    drawn = [objective_of(method, parent, data, seed=seed).units for seed in (0, 0, 1, 2, 3)]
    assert all({name: len(units) for name, units in each.items()} == {"conv2": 3, "conv3": 4} for each in drawn)
    assert all(np.array_equal(drawn[0][name], drawn[1][name]) for name in drawn[0])
    assert len({tuple(each["conv3"]) for each in drawn}) > 1


@given(seed=st.integers(0, 2**63 - 1), share=st.floats(0.01, 1.0))
def test_random_units_are_as_many_as_sensitive_ones_and_sorted(seed, share):
    layers = unit_layers(TRACED, convolutions=True)
    for layer in layers:
        units = random_units(layers, share, seed)[layer.name]
        assert len(units) == len({*units}) == max(1, int(np.ceil(round(share * layer.units, 9))))
        assert list(units) == sorted(units)
        assert 0 <= min(units) <= max(units) < layer.units


TRACED = trace(normed(toy_data()).module, (1, 12, 12))


def test_dynamic_units_are_chosen_anew_after_each_epoch_from_random_images(data, parent):
    objective = objective_of(SNS(units="dyn", share=0.5, first_layer=1, freeze=False, **FAST), parent, data)
    before = {name: units.tolist() for name, units in objective.units.items()}
    others = [unit for unit in range(8) if unit not in before["conv3"]]
    with torch.no_grad():  # the units that were least sensitive become the most sensitive
        objective.job.model.bn3.weight.copy_(torch.tensor([9.0 if unit in others else 0.1 for unit in range(8)]))
    objective.end_epoch(silent)
    assert objective.units["conv3"].tolist() == others
    static = objective_of(SNS(share=0.5, **FAST), parent, data)
    kept = {name: units.tolist() for name, units in static.units.items()}
    static.end_epoch(silent)
    assert {name: units.tolist() for name, units in static.units.items()} == kept


@pytest.mark.parametrize(
    ("first", "expected"), [(0, ["conv2", "conv3"]), (1, ["conv1", "conv2", "conv3"]), (3, ["conv3"])]
)
def test_layers_are_the_last_convolutions(data, parent, first, expected):
    assert [layer.name for layer in stabilised_layers(trace(parent.module, data.image_shape), first)] == expected


def test_of_vgg16_they_are_conv8_to_conv13():
    network = trace(build_model("vgg16_32").eval(), (3, 32, 32))
    layers = stabilised_layers(network, 0)
    convolutions = [name for name in network.layers if name.startswith("features")]
    assert [layer.name for layer in layers] == convolutions[7:13]
    frozen = frozen_before(network, layers[0])
    assert frozen.layers == tuple(convolutions[:7])


def test_frozen_layers_do_not_move(data, parent):
    before = {name: value.clone() for name, value in parent.module.state_dict().items()}
    settings = few(lr=0.2, weight_decay=0.1, optimizer="sgd")
    model, report = harden(parent, data, SNS(first_layer=2, **FAST), settings=settings)
    assert report.frozen == ("conv1",)
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    still = {name for name in before if name.startswith(("conv1.", "bn1."))}
    assert not moved & still
    assert {"conv2.weight", "bn2.running_mean", "bn2.weight", "conv3.weight", "fc.weight", "fc.bias"} <= moved
    free, report = harden(parent, data, SNS(first_layer=2, freeze=False, **FAST), settings=settings)
    assert report.frozen == ()
    assert not torch.equal(free.conv1.weight, before["conv1.weight"])
    assert not torch.equal(free.bn1.running_mean, before["bn1.running_mean"])


def test_what_is_used_again_behind_the_layer_is_not_frozen(data, parent):
    frozen = frozen_before(TRACED, unit_layers(TRACED)[1])
    assert "relu" not in frozen.modules  # one module serves all three layers
    assert {"conv1", "bn1"} <= set(frozen.modules)
    assert set(frozen.parameters) == {"conv1.weight", "bn1.weight", "bn1.bias"}


class Functional(nn.Module):
    """Kernels that no module applies."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.Parameter(torch.randn(4, channels, 3, 3)) for channels in (1, 4))
        self.fc = nn.Linear(4 * 64, 3)

    def forward(self, x):
        x = torch.relu(nn.functional.conv2d(x, self.first))
        return self.fc(torch.relu(nn.functional.conv2d(x, self.second)).flatten(1))


def test_kernels_that_functions_apply_are_frozen_and_found_and_their_units_refused():
    model = Functional().eval()
    network = trace(model, (1, 12, 12))
    layers = unit_layers(network, convolutions=True)
    assert frozen_before(network, layers[1]).parameters == ("first",)
    assert kernel_of(network, layers[1].node) is model.second
    with pytest.raises(UnsupportedOperationError, match="Write it as a module"):
        Taps(network, layers)


def test_what_is_recorded_is_what_the_loss_depends_on_and_nothing_is_left_behind(parent):
    model = parent.module.train()
    network = trace(model, (1, 12, 12))
    before, activated = (unit_layers(network, activated=flag, convolutions=True) for flag in (False, True))
    taps = Taps(network, (*before, *activated))
    images = torch.rand(5, 1, 12, 12)
    torch.manual_seed(0)
    with taps.recording() as outputs:
        logits = model(images)
    # The in-place ReLU behind each batch norm has not overwritten what was recorded.
    for plain, active in zip(before, activated, strict=True):
        assert outputs[plain.name].min() < 0
        assert torch.equal(outputs[plain.name].relu(), outputs[active.name])
    assert all(gradient is not None for gradient in torch.autograd.grad(logits.sum(), list(outputs.values())))
    # Batch norm works on the batch, as it does while training.
    assert outputs["conv1"].mean(dim=(0, 2, 3)).abs().max() < 1e-5
    torch.manual_seed(0)
    assert torch.equal(model(images), logits)
    with pytest.raises(ZeroDivisionError), taps.recording():
        1 / 0  # noqa: B018
    assert not any(module._forward_hooks for module in model.modules())


def test_the_route_is_that_of_the_route_analysis(data):
    parent = lenet(data)
    objective = RouteGradient(route_share=0.5, **FAST).objective(job_of(copy.deepcopy(parent.module), data.train))
    assert objective.preparation_images() == 24
    objective.prepare(silent)
    pairs = attack_pairs(parent.module, data.train, PGDLinf(**FAST), n_images=24, seed=0)
    expected = model_route(parent.module, pairs.adversarial, pairs.labels).chosen
    assert {name: units.tolist() for name, units in objective.units.items()} == {
        name: units.tolist() for name, units in expected.items()
    }


def test_a_model_that_gets_nothing_right_is_refused(data):
    parent = lenet(data)
    with torch.no_grad():
        parent.module.fc3.weight.zero_()
        parent.module.fc3.bias.copy_(torch.tensor([float("nan"), 0, 0]))
    with pytest.raises(InvalidInputError, match="gets none right"):
        objective_of(SNS(**FAST), parent, data)
