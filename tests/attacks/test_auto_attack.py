"""AutoAttack through its package: a stand-in of the same interface, and the real one where it is installed."""

import importlib.util
import sys
import types
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from engine.attacks import attacks
from engine.attacks.auto_attack import AUTO_ATTACK_PRESETS, AutoAttack, is_installed
from engine.errors import Cancelled, EngineError, InvalidInputError
from tests.attacks.nets import smooth

installed = importlib.util.find_spec("pyautoattack") is not None


class StandIn:
    """What version 0.2.0 offers of itself, and what it does to the process and the model; brightens every image."""

    made: ClassVar[list["StandIn"]] = []

    def __init__(self, model, *, attacks=None, device="cpu", eps=0.3, norm="Linf", seed=None, version="standard"):
        assert attacks is None
        assert norm in ("Linf", "L1", "L2")
        assert version == "standard"
        self.model, self.eps, self.norm, self.seed, self.device = model, eps, norm, seed, device
        self.apgd_targeted = types.SimpleNamespace(n_target_classes=9)
        self.fab = types.SimpleNamespace(n_target_classes=9)
        StandIn.made.append(self)

    def run_standard_evaluation(self, x_orig, y_orig, /, *, batch_size=250, state_path=None):
        self.given = (x_orig.clone(), y_orig.clone(), batch_size)
        sys.settrace(None)
        torch.random.manual_seed(self.seed)
        x = x_orig.clone().requires_grad_()
        with torch.enable_grad():
            self.model(x).sum().backward()  # as FAB does
        self.drawn = torch.rand(3)
        self.model(x_orig)[:, 0] = -float("inf")  # as Square does
        return (x_orig + 0.5).clamp(max=1.0), y_orig


@pytest.fixture
def package(monkeypatch) -> type[StandIn]:
    module = types.ModuleType("pyautoattack")
    module.AutoAttack = StandIn
    monkeypatch.setitem(sys.modules, "pyautoattack", module)
    StandIn.made.clear()
    return StandIn


@pytest.fixture
def ten() -> nn.Module:
    return smooth(10, 8)


@pytest.fixture
def batch(ten) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(21))
    with torch.no_grad():
        labels = ten(images).argmax(dim=1)
    labels[2] = (labels[2] + 1) % 10  # not scored
    return images, labels


def test_the_package_gets_the_scored_images_and_the_settings(package, ten, batch):
    images, labels = batch
    result = AutoAttack(epsilon=0.25, norm="l2")(ten, images, labels, seed=7)
    (suite,) = package.made
    given, classes, size = suite.given
    scored = [0, 1, 3, 4, 5]
    assert torch.equal(given, images[scored])
    assert torch.equal(classes, labels[scored])
    assert size == 5
    assert (suite.norm, suite.eps, suite.device) == ("L2", 0.25, torch.device("cpu"))
    assert result.scored.tolist() == [True, True, False, True, True, True]
    np.testing.assert_allclose(result.adversarial[scored], (images[scored] + 0.5).clamp(max=1.0))
    np.testing.assert_array_equal(result.adversarial[2], images[2])
    assert (result.epsilon == 0.25).all()


def test_the_seed_is_the_attacks_own_and_the_process_is_left_alone(package, ten, batch):
    ten[0].weight.grad = torch.ones_like(ten[0].weight)
    ten[0].bias.requires_grad_(False)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)

    def trace(*_: object) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for seed in (1, 1, 2):
            AutoAttack()(ten, *batch, seed=seed)
        assert sys.gettrace() is trace
    finally:
        sys.settrace(before)
    first, again, other = package.made
    assert torch.equal(first.drawn, again.drawn)
    assert not torch.equal(first.drawn, other.drawn)
    assert torch.equal(torch.rand(4), expected)
    assert [p.requires_grad for p in ten.parameters()] == [True, False, True, True]
    assert torch.equal(ten[0].weight.grad, torch.ones_like(ten[0].weight))
    assert ten[-1].weight.grad is None


@pytest.mark.parametrize(("classes", "tried"), [(4, 3), (10, 9), (20, 9)])
def test_few_classes_have_fewer_targets(package, classes, tried):
    net = smooth(classes, 1)
    images = torch.rand(3, 3, 8, 8)
    with torch.no_grad():
        AutoAttack()(net, images, net(images).argmax(dim=1))
    suite = package.made[0]
    assert (suite.apgd_targeted.n_target_classes, suite.fab.n_target_classes) == (tried, tried)


def test_three_classes_are_too_few(package):
    net = smooth(3, 1)
    images = torch.rand(3, 3, 8, 8)
    with torch.no_grad():
        labels = net(images).argmax(dim=1)
    with pytest.raises(InvalidInputError, match="four classes; the model has 3"):
        AutoAttack()(net, images, labels)


def test_cancelling_comes_through_and_everything_is_put_back(package, ten, batch):
    def stop(fraction: float, message: str) -> None:
        if "1 passes" in message:
            raise Cancelled("stop")

    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    with pytest.raises(Cancelled):
        AutoAttack()(ten, *batch, progress=stop)
    assert torch.equal(torch.rand(4), expected)
    assert all(parameter.requires_grad for parameter in ten.parameters())


def test_no_targets_and_no_scored_image(package, ten, batch):
    images, labels = batch
    with pytest.raises(InvalidInputError, match=r"targets: .*no targeted form"):
        AutoAttack()(ten, images, labels, targets=labels)
    result = AutoAttack()(ten, images[2:3], labels[2:3])
    assert not package.made
    np.testing.assert_array_equal(result.adversarial, images[2:3])


def test_presets_are_settings():
    for settings in AUTO_ATTACK_PRESETS.values():
        assert AutoAttack(**settings).settings == settings


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch, ten, batch):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    with pytest.raises(EngineError, match=r"pip install pyautoattack==0\.2\.0"):
        AutoAttack()(ten, *batch)
    assert not is_installed()


def test_the_catalogue_offers_it_where_it_is_installed():
    assert ("auto_attack" in attacks) == installed


@pytest.mark.skipif(not installed, reason="the optional package pyautoattack is not installed")
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_real_package_keeps_to_the_ball_and_leaves_the_model_alone(norm, ten, batch):
    images, labels = batch
    weights = {name: value.clone() for name, value in ten.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    attack = AutoAttack(epsilon={"linf": 0.05, "l2": 0.4}[norm], norm=norm)
    result = attack(ten, images, labels, seed=1)
    assert torch.equal(torch.rand(4), expected)
    assert result.success.sum() >= 3
    assert getattr(result, norm).max() <= attack.epsilon + 1e-5
    assert not result.l0[~result.success].any()
    assert all(parameter.grad is None and parameter.requires_grad for parameter in ten.parameters())
    assert all(torch.equal(value, weights[name]) for name, value in ten.state_dict().items())
    np.testing.assert_array_equal(attack(ten, images, labels, seed=1).adversarial, result.adversarial)
