"""Unrecognisable images: noise, and noise driven until the model is sure."""

import numpy as np
import pytest
import torch

from engine.attacks.unrecognisable import Unrecognisable
from engine.errors import InvalidInputError
from tests.attacks.nets import linear, smooth


def probabilities(net: torch.nn.Module, adversarial: np.ndarray) -> torch.Tensor:
    with torch.no_grad():
        return net(torch.from_numpy(adversarial)).softmax(dim=1)


@pytest.fixture(scope="module")
def net() -> torch.nn.Module:
    net = smooth(10, 8)
    with torch.no_grad():
        net[-1].weight.mul_(6)  # so that it can be sure of every class
    return net


@pytest.fixture(scope="module")
def batch(net) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(21))
    with torch.no_grad():
        return images, net(images).argmax(dim=1)


def test_uniform_noise_is_uniform_and_the_image_plays_no_part(net):
    images = torch.rand(2, 3, 8, 8)
    attack = Unrecognisable(kind="uniform")
    many = attack(net, images[:1].expand(60, -1, -1, -1), [0] * 60).adversarial
    assert len(np.unique(many.reshape(60, -1), axis=0)) == 60
    for share in (0.1, 0.5, 0.9):
        assert (many < share).mean() == pytest.approx(share, abs=0.02)
    others = attack(net, (1 - images[:1]).expand(60, -1, -1, -1), [0] * 60).adversarial
    np.testing.assert_array_equal(many, others)


def test_uniform_noise_takes_no_target(net, batch):
    with pytest.raises(InvalidInputError, match="uniform noise cannot be led to a class"):
        Unrecognisable(kind="uniform")(net, *batch, targets=(batch[1] + 1) % 10)


@pytest.mark.parametrize("confidence", [0.99, 0.7])
def test_driven_noise_is_surely_of_another_class(net, batch, confidence):
    images, labels = batch
    result = Unrecognisable(confidence=confidence)(net, images, labels)
    sureness, classes = probabilities(net, result.adversarial).max(dim=1)
    assert (sureness >= confidence - 1e-6).all()
    # It stops at once when it is sure enough.
    assert (sureness < confidence + (1 - confidence) / 2).all()
    assert (classes != labels).all()
    assert result.success.all()
    assert len(classes.unique()) > 3


def test_driven_noise_reaches_its_target(net, batch):
    images, labels = batch
    targets = (labels + 4) % 10
    result = Unrecognisable()(net, images, labels, targets=targets)
    assert (probabilities(net, result.adversarial).gather(1, targets[:, None]) >= 0.99 - 1e-6).all()
    assert result.success.all()


def test_the_wanted_class_is_never_the_label_and_any_other(net):
    images = torch.rand(1, 3, 8, 8).expand(80, -1, -1, -1)
    result = Unrecognisable(confidence=0.6)(net, images, [4] * 80)
    assert sorted(set(result.predictions_after.tolist())) == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_what_never_gets_sure_comes_back_at_its_surest():
    # Logits 0 and a with a at most 1: class 1 has at most e/(1 + e) = 0.73.
    net = linear([[0.0], [1.0]], [0.0, 0.0])
    result = Unrecognisable(steps=100)(net, torch.zeros(3, 1, 1, 1), [0] * 3)
    np.testing.assert_allclose(result.adversarial, 1.0)


def test_steps_have_the_length_that_was_set():
    # One step of 0.25 along the only direction that counts.
    net = linear([[0.0, 0.0], [0.0, 8.0]], [0.0, -20.0])
    image = torch.zeros(1, 1, 1, 2)
    start = Unrecognisable(kind="uniform")(net, image, [0], seed=5).adversarial.ravel()
    moved = Unrecognisable(steps=1, step_size=0.25)(net, image, [0], seed=5).adversarial.ravel()
    np.testing.assert_allclose(moved, [start[0], min(start[1] + 0.25, 1.0)], atol=1e-6)


@pytest.mark.parametrize("kind", ["uniform", "driven"])
def test_what_is_drawn_belongs_to_the_image(net, batch, kind, monkeypatch):
    attack = Unrecognisable(kind=kind)
    whole = attack(net, *batch, seed=2).adversarial
    monkeypatch.setattr("engine.attacks.base.MAX_BATCH_IMAGES", 5)
    np.testing.assert_allclose(attack(net, *batch, seed=2).adversarial, whole, atol=1e-5)


@pytest.mark.slow
def test_on_digits(mnist, lenet):
    rows = np.arange(200)
    images, labels = mnist.test.images(rows), mnist.test.labels[rows]
    result = Unrecognisable()(lenet.module, images, labels)
    assert (probabilities(lenet.module, result.adversarial).amax(dim=1) >= 0.99 - 1e-5).all()
    uniform = Unrecognisable(kind="uniform")(lenet.module, images, labels)
    assert (probabilities(lenet.module, uniform.adversarial).amax(dim=1) >= 0.99).double().mean() < 0.5
