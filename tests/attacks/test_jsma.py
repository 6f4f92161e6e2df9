"""JSMA against hand-worked saliencies and against the paper's formula over all pairs."""

import itertools

import numpy as np
import pytest
import torch

from engine.attacks import attacks
from tests.attacks.nets import linear, pixels, smooth

SINGLE = {"choice": "single_pixel", "theta": 0.125, "max_changes": 7, "max_share": 1.0}


def test_the_pair_of_the_largest_slopes_goes_white():
    # z1 − z0 = a + 3b + 2c − 4d − 4: −4 + 0.5·(1 + 3 + 2 − 4) = −3 first, −3 + 1.5 + 1 = −0.5 with b and c white, and
    # then a and d are left, whose slopes add up to less than nothing: no pair is left.
    net = linear([[0.0] * 4, [1.0, 3.0, 2.0, -4.0]], [0.0, -4.0])
    result = attacks["jsma"].create(max_share=1.0)(net, pixels([0.5] * 4), [0])
    np.testing.assert_array_equal(result.adversarial.ravel(), [0.5, 1.0, 1.0, 0.5])
    assert result.success.tolist() == [False]
    # With a smaller lead of class 0 the same pair is enough.
    near = linear([[0.0] * 4, [1.0, 3.0, 2.0, -4.0]], [0.0, -3.25])
    assert attacks["jsma"].create(max_share=1.0)(near, pixels([0.5] * 4), [0]).success.tolist() == [True]


def test_saturated_pixels_are_left_out():
    # b is white already: the pair is a and c.
    net = linear([[0.0] * 4, [1.0, 3.0, 2.0, -4.0]], [0.0, -3.5])
    result = attacks["jsma"].create(max_share=1.0)(net, pixels([0.5, 1.0, 0.5, 0.5]), [0])
    np.testing.assert_array_equal(result.adversarial.ravel(), [1.0, 1.0, 1.0, 0.5])


def test_theta_and_the_share_of_pixels_limit_the_change():
    net, image = linear([[0.0] * 4, [1.0, 3.0, 2.0, -4.0]], [0.0, -9.0]), pixels([0.25] * 4)
    once = attacks["jsma"].create(theta=0.25, steps=1, max_share=1.0)(net, image, [0])
    np.testing.assert_array_equal(once.adversarial.ravel(), [0.25, 0.5, 0.5, 0.25])
    twice = attacks["jsma"].create(theta=0.25, max_changes=2, max_share=0.5)(net, image, [0])
    np.testing.assert_array_equal(twice.adversarial.ravel(), [0.25, 0.75, 0.75, 0.25])
    assert not attacks["jsma"].create(max_share=0.25)(net, image, [0]).l0.any()
    assert not attacks["jsma"].create(max_share=0.0)(net, image, [0]).l0.any()


def test_single_pixels_go_both_ways():
    # z1 − z0 = 2a − 4b − 1.25: b falls by 1/8, seven times and no more; then a rises until it exceeds 0.75.
    net = linear([[0.0, 0.0], [2.0, -4.0]], [0.0, -1.25])
    result = attacks["jsma"].create(**SINGLE)(net, pixels([0.5, 0.9375]), [0])
    np.testing.assert_array_equal(result.adversarial.ravel(), [0.875, 0.0625])
    assert result.success.tolist() == [True]


def test_a_pixel_that_has_reached_an_edge_is_not_taken_again():
    # b reaches black after two changes. The far more likely third class then turns the target's slope in b around, but
    # b stays out of it, and a goes on.
    net = linear([[0.0, 0.0], [1.0, -4.0], [0.0, 0.0]], [9.0, 0.0, 0.0])
    result = attacks["jsma"].create(**SINGLE)(net, pixels([0.5, 0.25]), [0], targets=[1])
    np.testing.assert_array_equal(result.adversarial.ravel(), [1.0, 0.0])
    assert result.success.tolist() == [False]


def test_untargeted_goes_to_the_second_most_likely_class():
    # z = (0, −0.5, −1) + slopes of 1 in a for class 1 and of 9 in b for class 2: the second class is 1.
    net = linear([[0.0, 0.0, 0.0], [1.0, 0.0, 1.0], [0.0, 9.0, 0.0]], [0.0, -0.5, -1.0])
    result = attacks["jsma"].create(max_share=1.0)(net, pixels([0.0, 0.0, 0.0]), [0])
    np.testing.assert_array_equal(result.adversarial.ravel(), [1.0, 0.0, 1.0])
    assert result.predictions_after.tolist() == [1]


def test_it_works_where_the_probability_underflows():
    # p_1 = e^−200 is zero in 32 bits.
    net = linear([[0.0, 0.0], [200.0, 201.0]], [0.0, -200.0])
    assert attacks["jsma"].create(max_share=1.0)(net, pixels([0.0, 0.0]), [0]).success.tolist() == [True]


def best_pair(net, image: torch.Tensor, target: int) -> set[int]:
    """Algorithm 3 as printed: all pairs, with the derivatives of the softmax output (α > 0, β < 0, largest −αβ)."""
    jacobian = torch.autograd.functional.jacobian(lambda x: net(x[None]).softmax(dim=1)[0], image.double()).flatten(1)
    best, largest = set(), 0.0
    for p, q in itertools.combinations([i for i, value in enumerate(image.flatten()) if value < 1], 2):
        alpha = float(jacobian[target, p] + jacobian[target, q])
        beta = float(jacobian[:, p].sum() + jacobian[:, q].sum()) - alpha
        if alpha > 0 and beta < 0 and -alpha * beta > largest:
            best, largest = {p, q}, -alpha * beta
    return best


@pytest.mark.parametrize("target", [0, 3])
def test_the_top_two_are_the_best_of_all_pairs(target):
    net = smooth(5, seed=2)
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(5))
    images[:, :, :4] = images[:, :, :4].round()
    labels = net(images).argmax(dim=1)
    result = attacks["jsma"].create(steps=1)(net, images, labels, targets=[target] * 3)
    exact = smooth(5, seed=2).double()
    for image, attacked, label in zip(images, result.adversarial, labels.tolist(), strict=True):
        changed = set(np.flatnonzero(attacked.ravel() != image.numpy().ravel()).tolist())
        assert changed == (best_pair(exact, image, target) if label != target else set())
