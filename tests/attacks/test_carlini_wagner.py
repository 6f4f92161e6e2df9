"""Carlini & Wagner's attack against hand-worked boundaries."""

import numpy as np
import pytest
import torch

from engine.attacks import attacks
from engine.attacks.adam import Adam
from tests.attacks.nets import Stubborn, linear, pixels

TWO_PIXELS = linear([[3.0, -4.0], [0.0, 0.0]], [0.0, 0.0])


def slow(**settings):
    return attacks["carlini_wagner"].create(**{"learning_rate": 0.02, "steps": 150, "search_steps": 9, **settings})


def test_it_finds_the_nearest_point_beyond_the_boundary():
    # The plane 3a = 4b is 0.05 from (0.75, 0.5), at (0.72, 0.54).
    result = slow()(TWO_PIXELS, pixels([0.75, 0.5]), [0])
    assert result.success.all()
    assert result.l2[0] == pytest.approx(0.05, rel=0.02)
    np.testing.assert_allclose(result.adversarial.ravel(), [0.72, 0.54], atol=0.002)


def test_confidence_moves_the_point_further():
    # z1 leads by 0.5 where 4b − 3a = 0.5: 0.75/5 = 0.15 away.
    result = slow(kappa=0.5)(TWO_PIXELS, pixels([0.75, 0.5]), [0])
    assert result.l2[0] == pytest.approx(0.15, rel=0.02)
    a, b = result.adversarial.ravel().tolist()
    assert 4 * b - 3 * a >= 0.5


def test_black_and_white_pixels_move_too():
    # The plane 3a = 4b is 0.6 from (1, 0), at (0.64, 0.48).
    result = attacks["carlini_wagner"].create()(TWO_PIXELS, pixels([1.0, 0.0]), [0])
    assert result.success.all()
    np.testing.assert_allclose(result.adversarial.ravel(), [0.64, 0.48], atol=0.02)


def test_targeted_passes_the_nearer_class_by():
    # z = (0, a − 0.6, 10·(b − 0.9)) at (0.5, 0.5): class 1 is 0.1 away in a, class 2 is 0.4 away in b.
    net, image = linear([[0.0, 0.0], [1.0, 0.0], [0.0, 10.0]], [0.0, -0.6, -9.0]), pixels([0.5, 0.5])
    assert slow()(net, image, [0]).l2[0] == pytest.approx(0.1, rel=0.02)
    result = slow()(net, image, [0], targets=[2])
    assert result.predictions_after.tolist() == [2]
    assert result.l2[0] == pytest.approx(0.4, rel=0.02)


def test_a_failure_returns_the_original():
    images = pixels([0.5, 0.25], [0.0, 1.0])
    result = attacks["carlini_wagner"].create(steps=20)(Stubborn(), images, [0, 1])
    assert not result.success.any()
    np.testing.assert_array_equal(result.adversarial, images.numpy())


def test_one_failure_does_not_touch_the_others():
    # Class 1 can lead by 4b − 3a = 4 at most, class 0 by 3.
    attack = attacks["carlini_wagner"].create(kappa=3.2)
    result = attack(TWO_PIXELS, pixels([0.75, 0.5], [0.25, 0.5]), [0, 1], targets=[1, 0])
    assert result.success.tolist() == [True, False]
    np.testing.assert_array_equal(result.adversarial[1].ravel(), [0.25, 0.5])


def test_each_image_has_its_own_c(monkeypatch):
    weights = []
    original = attacks["carlini_wagner"].factory._descend

    def watch(self, model, batch, c, best, progress):
        weights.append(c.tolist())
        return original(self, model, batch, c, best, progress)

    monkeypatch.setattr(attacks["carlini_wagner"].factory, "_descend", watch)
    # With f falling by 5 per unit of length, the boundary at distance d is reached once c·5 > 2d: c > 0.02 and > 0.2.
    slow(search_steps=4, initial_c=0.1)(TWO_PIXELS, pixels([0.75, 0.5], [0.9, 0.05]), [0, 0])
    near, far = np.array(weights).T
    np.testing.assert_allclose(near, [0.1, 0.05, 0.025, 0.0125], rtol=1e-6)
    np.testing.assert_allclose(far, [0.1, 1.0, 0.55, 0.325], rtol=1e-6)


def test_adam_takes_the_steps_of_torch():
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(3, 2, generator=generator)
    theirs = start.clone().requires_grad_()
    ours, adam = start.clone(), Adam(start, 0.05)
    optimiser = torch.optim.Adam([theirs], lr=0.05)
    for _ in range(20):
        gradient = torch.randn(3, 2, generator=generator)
        theirs.grad = gradient.clone()
        optimiser.step()
        ours = ours + adam.change(-gradient, torch.arange(3))
    torch.testing.assert_close(ours, theirs.detach(), atol=1e-5, rtol=1e-5)
