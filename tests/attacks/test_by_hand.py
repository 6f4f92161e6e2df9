"""Small linear nets whose answers are worked out by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from engine.attacks import attacks
from engine.attacks.balls import L2Ball, LinfBall
from engine.attacks.gradients import ascent_gradient, objective
from engine.attacks.logits import Logits


def linear(weights: list[list[float]], bias: list[float]) -> nn.Module:
    """Logits W·x + b of an image flattened to a vector."""
    layer = nn.Linear(len(weights[0]), len(weights))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights))
        layer.bias.copy_(torch.tensor(bias))
    return nn.Sequential(nn.Flatten(), layer)


@pytest.fixture
def two_pixels() -> nn.Module:
    """Logits z0 = 3a − 4b and z1 = 0 of the pixels (a, b): class 0 where 3a > 4b."""
    return linear([[3.0, -4.0], [0.0, 0.0]], [0.0, 0.0])


# z0 = 3·0.75 − 4·0.5 = 0.25: class 0. The untargeted gradient points along (−3, 4).
IMAGE = torch.tensor([0.75, 0.5]).reshape(1, 1, 1, 2)


def test_fgsm_steps_against_the_sign_of_the_weights(two_pixels):
    result = attacks["fgsm"].create(epsilon=0.125)(two_pixels, IMAGE, [0])
    np.testing.assert_array_equal(result.adversarial.ravel(), [0.625, 0.625])
    # z0 = 3·0.625 − 4·0.625 = −0.625 < 0: class 1
    assert result.success.tolist() == [True]
    assert (result.predictions_before.tolist(), result.predictions_after.tolist()) == ([0], [1])
    assert (result.l0[0], result.l2[0], result.linf[0]) == (2, pytest.approx(math.sqrt(2) / 8), 0.125)
    assert result.survives_rounding.tolist() == [True]


def test_targeted_fgsm_steps_towards_the_target(two_pixels):
    # From (0.25, 0.5), z0 = −1.25 and class 1, towards class 0: up in a, down in b; z0 = 3·0.625 − 4·0.125 = 1.375.
    image = torch.tensor([0.25, 0.5]).reshape(1, 1, 1, 2)
    result = attacks["fgsm"].create(epsilon=0.375)(two_pixels, image, [1], targets=[0])
    np.testing.assert_array_equal(result.adversarial.ravel(), [0.625, 0.125])
    assert result.success.tolist() == [True]


def test_clipping_at_the_edge_of_the_image_range(two_pixels):
    result = attacks["fgsm"].create(epsilon=0.625)(two_pixels, IMAGE, [0])
    np.testing.assert_array_equal(result.adversarial.ravel(), [0.125, 1.0])


def test_pgd_l2_moves_along_the_gradient_not_its_sign(two_pixels):
    # Direction (−3, 4)/5, radius 0.25: two steps of 0.125 reach (0.75 − 0.15, 0.5 + 0.2).
    settings = {"steps": 2, "relative_step": 0.5, "random_start": False}
    result = attacks["pgd_l2"].create(epsilon=0.25, **settings)(two_pixels, IMAGE, [0])
    np.testing.assert_allclose(result.adversarial.ravel(), [0.6, 0.7], atol=1e-7)
    # Further steps of full length stay on the ball, because the gradient's direction is the same everywhere.
    longer = attacks["pgd_l2"].create(epsilon=0.25, steps=9, relative_step=1.0, random_start=False)
    np.testing.assert_allclose(longer(two_pixels, IMAGE, [0]).adversarial.ravel(), [0.6, 0.7], atol=1e-7)


@pytest.mark.parametrize("name", ["bim", "pgd_linf"])
def test_small_sign_steps_add_up_and_stop_at_the_ball(two_pixels, name):
    still = {} if name == "bim" else {"random_start": False}
    half = attacks[name].create(epsilon=0.25, steps=2, relative_step=0.25, **still)(two_pixels, IMAGE, [0])
    np.testing.assert_array_equal(half.adversarial.ravel(), [0.625, 0.625])
    full = attacks[name].create(epsilon=0.25, steps=9, relative_step=0.25, **still)(two_pixels, IMAGE, [0])
    np.testing.assert_array_equal(full.adversarial.ravel(), [0.5, 0.75])


def test_a_success_that_rounding_undoes():
    # In bytes: class 1 above 127.25. From 127, a step to 127.75 is stored as 128 and stays class 1; a step to 127.4
    # is class 1 as well, but is stored as 127.
    net = linear([[0.0], [8192.0]], [0.0, -8192.0 * 127.25 / 255])
    image = torch.tensor([127 / 255]).reshape(1, 1, 1, 1)
    kept = attacks["fgsm"].create(epsilon=0.75 / 255)(net, image, [0])
    lost = attacks["fgsm"].create(epsilon=0.4 / 255)(net, image, [0])
    assert (kept.success[0], kept.survives_rounding[0]) == (True, True)
    assert (lost.success[0], lost.survives_rounding[0]) == (True, False)


def test_objectives_by_hand():
    logits = torch.tensor([[2.0, 5.0, 3.0], [1.0, 0.0, -1.0]])
    labels, targets = torch.tensor([1, 2]), torch.tensor([0, 0])
    # margins of the labels: 3 − 5 = −2 and 1 − (−1) = 2
    assert float(objective(logits, labels, None, "margin")) == 0.0
    # towards class 0: 2 − 5 = −3 and 1 − 0 = 1
    assert float(objective(logits, labels, targets, "margin")) == -2.0
    exact = sum(
        math.log(sum(math.exp(z) for z in row)) - row[c] for row, c in zip(logits.tolist(), (1, 2), strict=True)
    )
    assert float(objective(logits, labels, None, "cross_entropy")) == pytest.approx(exact, rel=1e-6)
    assert float(objective(logits, labels, torch.tensor([1, 2]), "cross_entropy")) == pytest.approx(-exact, rel=1e-6)


def test_cross_entropy_saturates_where_the_margin_does_not():
    net = linear([[300.0, 0.0], [0.0, 0.0]], [0.0, 0.0])
    labels = torch.tensor([0])
    image = torch.tensor([1.0, 0.5]).reshape(1, 1, 1, 2)
    assert not ascent_gradient(Logits(net, "batch"), image, labels, None, "cross_entropy").any()
    margin = ascent_gradient(Logits(net, "batch"), image, labels, None, "margin")
    assert margin.ravel().tolist() == [-300.0, 0.0]
    assert not attacks["bim"].create(epsilon=1.0)(net, image, [0]).l0.any()
    # z0 = 300a ties with z1 = 0 at a = 0, so the second logit gets a small head start there.
    ahead = linear([[300.0, 0.0], [0.0, 0.0]], [0.0, 1.0])
    assert attacks["bim"].create(epsilon=1.0, loss="margin")(ahead, image, [0]).success.all()


def test_directions_of_tiny_and_of_zero_gradients():
    gradient = torch.tensor([[3e-30, -4e-30], [0.0, 0.0]]).reshape(2, 1, 1, 2)
    np.testing.assert_allclose(L2Ball().steepest(gradient).reshape(2, 2), [[0.6, -0.8], [0.0, 0.0]], atol=1e-6)
    np.testing.assert_array_equal(LinfBall().steepest(gradient).reshape(2, 2), [[1.0, -1.0], [0.0, 0.0]])


def test_projections():
    change = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]]).reshape(3, 1, 1, 2)
    np.testing.assert_allclose(
        L2Ball().project(change, 1.0).reshape(3, 2), [[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]], atol=1e-7
    )
    np.testing.assert_array_equal(LinfBall().project(change, 1.0).reshape(3, 2)[0], [1.0, 1.0])


def test_random_starts_are_uniform_in_the_ball():
    generator = torch.Generator().manual_seed(0)
    points = L2Ball().draw(torch.zeros(4000, 1, 1, 2), generator).reshape(-1, 2)
    lengths = points.norm(dim=1)
    assert float(lengths.max()) <= 1 + 1e-6
    # Uniform in a disc: a quarter of the points lie within half the radius, and the mean is the centre.
    assert float((lengths < 0.5).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert float(points.mean(dim=0).norm()) < 0.03
    cube = LinfBall().draw(torch.zeros(4000, 1, 1, 2), generator).reshape(-1, 2)
    assert float(cube.abs().max()) <= 1
    assert float((cube.abs().amax(dim=1) < 0.5).float().mean()) == pytest.approx(0.25, abs=0.03)
