"""DeepFool against hand-worked boundaries."""

import numpy as np
import pytest
import torch

from engine.attacks import attacks
from tests.attacks.nets import Stubborn, linear, pixels


def test_the_nearest_plane_and_the_overshoot():
    # z = (3a − 4b, 0): at (0.75, 0.5) the plane z0 = z1 is 0.25/5 = 0.05 away along (−3, 4)/5.
    net, image = linear([[3.0, -4.0], [0.0, 0.0]], [0.0, 0.0]), pixels([0.75, 0.5])
    result = attacks["deepfool"].create(overshoot=0.5)(net, image, [0])
    length = 1.5 * (0.05 + 1e-4)
    np.testing.assert_allclose(result.adversarial.ravel(), [0.75 - 0.6 * length, 0.5 + 0.8 * length], atol=1e-6)
    assert result.success.tolist() == [True]
    assert np.isnan(result.epsilon).all()


def test_the_nearest_plane_is_not_that_of_the_runner_up():
    # At (0.5, 0.5): z = (1, 0.9, 0). z1 is 0.1 behind with slope 0.1: distance 1. z2 is 1 behind with slope 10: 0.1.
    net, image = linear([[0.0, 0.0], [0.1, 0.0], [0.0, 10.0]], [1.0, 0.85, -5.0]), pixels([0.5, 0.5])
    every = attacks["deepfool"].create()(net, image, [0])
    np.testing.assert_allclose(every.adversarial.ravel(), [0.5, 0.5 + 1.02 * 0.1001], atol=1e-6)
    assert every.predictions_after.tolist() == [2]
    # With two candidates only the runner-up counts, which lies beyond the edge of the range: 0.5 + 1.02·1.0001 > 1.
    two = attacks["deepfool"].create(candidates=2, steps=3)(net, image, [0])
    np.testing.assert_allclose(two.adversarial.ravel(), [1.0, 0.5], atol=1e-6)
    assert two.success.tolist() == [False]


def test_steps_add_up_and_are_clipped_last():
    # z0 − z1 = 3a + 4b − 0.5 at (0.5, 0): both pixels should fall, but b is black already, so each step removes only
    # 9/25 of what is left. The class changes at a = 1/6.
    net, image = linear([[3.0, 4.0], [0.0, 0.0]], [-0.5, 0.0]), pixels([0.5, 0.0])
    reached, left = 0.0, 1.0
    for _ in range(3):
        reached += (left / 5 + 1e-4) * 0.6
        left = 3 * (0.5 - 1.02 * reached) - 0.5
    three = attacks["deepfool"].create(steps=3)(net, image, [0])
    np.testing.assert_allclose(three.adversarial.ravel(), [0.5 - 1.02 * reached, 0.0], atol=1e-6)
    assert three.success.tolist() == [False]
    result = attacks["deepfool"].create()(net, image, [0])
    assert result.success.tolist() == [True]
    assert result.adversarial.ravel()[0] == pytest.approx(1 / 6, abs=1e-3)
    assert result.adversarial.ravel()[1] == 0


def test_images_that_are_wrong_already_and_nets_without_a_slope_are_left_as_they_are():
    flat, images = linear([[0.0], [0.0]], [1.0, 0.0]), pixels([0.25], [0.5])
    result = attacks["deepfool"].create()(flat, images, [0, 1])
    np.testing.assert_array_equal(result.adversarial, images.numpy())
    assert result.scored.tolist() == [True, False]
    assert not result.success.any()
    slope = attacks["deepfool"].create(steps=5)(Stubborn(), images, [0, 1])
    assert np.isfinite(slope.adversarial).all()
    assert slope.l0.tolist() == [1, 0]


def test_only_unbroken_images_are_run_again():
    seen: list[int] = []

    class Counting(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(len(x))
            return torch.stack([x.flatten(1).sum(dim=1), torch.full((len(x),), 0.3)], dim=1)

    # Broken by the first step; not broken by any, as a black second pixel cannot fall: several steps; wrong already.
    attacks["deepfool"].create(steps=3)(Counting(), pixels([0.4, 0.4], [1.0, 0.0], [0.1, 0.1]), [0, 0, 0])
    steps = seen[seen.index(3) + 2 : -2]
    # Each step runs the model twice, for the gradient and to see what is broken.
    assert steps == [2, 2, 1, 1, 1, 1]
