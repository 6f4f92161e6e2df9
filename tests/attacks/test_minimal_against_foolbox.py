"""DeepFool and C&W beside Foolbox 3.3.4: as many successes, changes no larger."""

import numpy as np
import pytest
import torch

from engine.attacks import attacks
from tests.attacks.nets import smooth

foolbox = pytest.importorskip("foolbox")


@pytest.fixture(scope="module")
def batch():
    net = smooth(10, seed=8)
    images = torch.rand(24, 3, 8, 8, generator=torch.Generator().manual_seed(21))
    images[:6] = images[:6].round()  # at the edges of the range
    with torch.no_grad():
        return net, images, net(images).argmax(dim=1)


def theirs(attack, net, images, labels, targets=None):
    """Foolbox's images, and which are successes."""
    model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    criteria = foolbox.criteria
    wanted = criteria.Misclassification(labels) if targets is None else criteria.TargetedMisclassification(targets)
    attacked, _, success = attack(model, images, wanted, epsilons=None)
    return attacked.numpy(), success.numpy()


def assert_as_good(ours, attacked, success, images):
    assert ours.success.mean() >= success.mean() - 0.03
    both = ours.success & success
    assert both.any()
    lengths = np.linalg.norm((attacked - images.numpy()).reshape(len(images), -1), axis=1)
    assert ours.l2[both].mean() <= 1.05 * lengths[both].mean()


@pytest.mark.parametrize("candidates", [2, 10])
def test_deepfool(batch, candidates):
    net, images, labels = batch
    oracle = foolbox.attacks.L2DeepFoolAttack(steps=100, candidates=candidates)
    attacked, success = theirs(oracle, net, images, labels)
    ours = attacks["deepfool"].create(candidates=candidates)(net, images, labels)
    assert_as_good(ours, attacked, success, images)
    assert ours.success.all()
    np.testing.assert_allclose(ours.adversarial, attacked, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kappa", [0.0, 1.0])
@pytest.mark.parametrize("targeted", [False, True])
def test_carlini_wagner(batch, targeted, kappa):
    net, images, labels = batch
    targets = (labels + 3) % 10 if targeted else None
    oracle = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=6, steps=200, stepsize=0.05, initial_const=0.1, confidence=kappa
    )
    attacked, success = theirs(oracle, net, images, labels, targets)
    ours = attacks["carlini_wagner"].create(kappa=kappa)(net, images, labels, targets=targets)
    assert_as_good(ours, attacked, success, images)


@pytest.fixture(scope="module")
def digits(mnist, lenet):
    """LeNet-5 with the first of MNIST's test images that it has right, and their labels."""
    images, labels = mnist.test.images(range(110)), torch.tensor(mnist.test.labels[:110])
    with torch.no_grad():
        right = lenet.module(images).argmax(dim=1) == labels
    return lenet.module, images[right][:100], labels[right][:100]


@pytest.mark.slow
def test_deepfool_on_digits(digits):
    net, images, labels = digits
    attacked, success = theirs(foolbox.attacks.L2DeepFoolAttack(steps=100), net, images, labels)
    ours = attacks["deepfool"].create()(net, images, labels)
    assert_as_good(ours, attacked, success, images)
    assert ours.success.all()


@pytest.mark.slow
@pytest.mark.slow
def test_carlini_wagner_on_digits(digits):
    net, images, labels = (digits[0], *(given[:30] for given in digits[1:]))
    settings = {"binary_search_steps": 6, "steps": 200, "stepsize": 0.05, "initial_const": 0.1}
    attacked, success = theirs(foolbox.attacks.L2CarliniWagnerAttack(**settings), net, images, labels)
    ours = attacks["carlini_wagner"].create()(net, images, labels)
    assert_as_good(ours, attacked, success, images)
    assert ours.success.all()


@pytest.mark.slow
def test_few_pixels_make_any_digit_another(digits):
    net, images, labels = digits
    result = attacks["jsma"].create()(net, images, labels, targets=(labels + 1) % 10)
    assert result.success.mean() >= 0.95
    assert result.l0[result.success].mean() <= 40
