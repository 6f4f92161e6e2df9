"""MI-FGSM and Step-LL against their formulas."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from engine.attacks import attacks
from tests.attacks.nets import linear, pixels, smooth


@pytest.fixture(scope="module")
def batch():
    net = smooth(10, seed=8)
    images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(21))
    with torch.no_grad():
        return net, images, net(images).argmax(dim=1)


def by_the_formula(net, image, wanted, sign, epsilon, steps, decay):
    """Dong et al. 2018, equations 6 and 7, for one image in 64 bits, with the ball and the range kept."""
    point, gathered = image.clone(), torch.zeros_like(image)
    for _ in range(steps):
        point.requires_grad_()
        loss = sign * functional.cross_entropy(net(point[None]), wanted[None])
        gradient = torch.autograd.grad(loss, point)[0]
        gathered = decay * gathered + gradient / gradient.abs().sum()
        moved = point.detach() + epsilon / steps * gathered.sign()
        point = torch.minimum(torch.maximum(moved, image - epsilon), image + epsilon).clamp(0, 1)
    return point.numpy()


@pytest.mark.parametrize("decay", [1.0, 0.5])
@pytest.mark.parametrize("targeted", [False, True])
def test_momentum_gathers_normalised_gradients(batch, decay, targeted):
    net, images, labels = batch
    wanted = (labels + 3) % 10 if targeted else labels
    attack = attacks["mi_fgsm"].create(epsilon=0.4, decay=decay)
    result = attack(net, images, labels, targets=wanted if targeted else None)
    exact = smooth(10, seed=8).double()
    for row in range(len(images)):
        sign = -1 if targeted else 1
        expected = by_the_formula(exact, images[row].double(), wanted[row], sign, 0.4, 10, decay)
        # An element whose gathered gradient is nearly zero may step the other way in 32 bits.
        assert np.mean(np.abs(result.adversarial[row] - expected) > 1e-5) < 0.01


def test_without_momentum_it_is_bim(batch):
    net, images, labels = batch
    plain = attacks["bim"].create(epsilon=0.2)(net, images, labels)
    none = attacks["mi_fgsm"].create(epsilon=0.2, decay=0.0)(net, images, labels)
    np.testing.assert_array_equal(none.adversarial, plain.adversarial)
    full = attacks["mi_fgsm"].create(epsilon=0.2)(net, images, labels)
    assert not np.array_equal(full.adversarial, plain.adversarial)


def test_momentum_carries_on_where_the_gradient_is_zero():
    # The loss saturates at once: the first gradient is the last that is not zero, and momentum keeps its direction.
    net = linear([[-5000.0], [5000.0]], [1750.0, -1750.0])
    image = pixels([0.3])
    plain = attacks["bim"].create(epsilon=0.5, steps=5, relative_step=0.2)(net, image, [0], targets=[1])
    carried = attacks["mi_fgsm"].create(epsilon=0.5, steps=5, relative_step=0.2)(net, image, [0], targets=[1])
    assert plain.linf[0] == pytest.approx(0.1, abs=1e-6)
    assert carried.linf[0] == pytest.approx(0.5, abs=1e-6)


# z = (a, b, −2a − 3b) at (0.5, 0.25): class 0 leads, class 2 with −1.75 is the least likely.
THREE = linear([[1.0, 0.0], [0.0, 1.0], [-2.0, -3.0]], [0.0, 0.0, 0.0])
IMAGE = pixels([0.5, 0.25])


def test_one_step_towards_the_least_likely_class():
    # −∇ log p_2 = Σ p_j (w_j − w_2) is positive in both pixels: both fall, and class 0 still leads.
    result = attacks["step_ll"].create(epsilon=0.125)(THREE, IMAGE, [0])
    np.testing.assert_array_equal(result.adversarial.ravel(), [0.375, 0.125])
    assert result.success.tolist() == [False]
    # At (0, 0) all are equal, and the lowest class counts; class 2 is never reached.
    assert attacks["step_ll"].create(epsilon=1.0)(THREE, IMAGE, [0]).success.tolist() == [False]


def test_it_counts_when_the_label_is_left_for_another_class_than_the_least_likely():
    # Both fall by 0.25 in a and rise in none: (0.25, 0.0) keeps class 0, but with b's slope turned class 1 wins.
    net = linear([[1.0, 0.0], [-1.0, 0.0], [-8.0, 0.0]], [0.0, 0.75, 0.0])
    result = attacks["step_ll"].create(epsilon=0.25)(net, IMAGE, [0])
    # z = (0.25, 0.5, −2)
    np.testing.assert_array_equal(result.adversarial.ravel(), [0.25, 0.25])
    assert (result.predictions_after.tolist(), result.success.tolist()) == ([1], [True])


def test_targeted_it_steps_towards_the_given_class():
    # log p_1 rises with b and, as class 0 is likelier than class 2, falls with a.
    result = attacks["step_ll"].create(epsilon=0.25)(THREE, IMAGE, [0], targets=[1])
    np.testing.assert_array_equal(result.adversarial.ravel(), [0.25, 0.5])
    assert result.success.tolist() == [True]
