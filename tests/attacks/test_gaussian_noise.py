"""Gaussian noise: its strength, and that it belongs to the image."""

import numpy as np
import pytest
import torch

from engine.attacks.gaussian_noise import SIGMAS, GaussianNoise
from engine.errors import InvalidInputError
from tests.attacks.nets import Stubborn

GREY = torch.full((3, 1, 64, 64), 0.5)


def test_the_constants_are_cifar10cs():
    assert SIGMAS == (0.04, 0.06, 0.08, 0.09, 0.10)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_it_is_normal_with_the_severitys_deviation(severity):
    noise = GaussianNoise(severity=severity)(Stubborn(), GREY, [0] * 3).adversarial.ravel() - 0.5
    sigma = SIGMAS[severity - 1]
    # 12,288 numbers: the deviation is known to 0.64 %, the mean to 0.9 % of it; 4 of these.
    assert noise.std() == pytest.approx(sigma, rel=0.026)
    assert abs(noise.mean()) < 0.036 * sigma
    for within, share in ((1, 0.683), (2, 0.954)):
        assert (np.abs(noise) < within * sigma).mean() == pytest.approx(share, abs=0.017)


def test_each_image_has_noise_of_its_own_whatever_the_batches(monkeypatch):
    attack = GaussianNoise()
    whole = attack(Stubborn(), GREY, [0] * 3, seed=4).adversarial
    assert not np.array_equal(whole[0], whole[1])
    monkeypatch.setattr("engine.attacks.base.MAX_BATCH_IMAGES", 2)
    np.testing.assert_array_equal(attack(Stubborn(), GREY, [0] * 3, seed=4).adversarial, whole)
    assert not np.array_equal(attack(Stubborn(), GREY, [0] * 3, seed=5).adversarial, whole)


def test_it_has_no_target():
    with pytest.raises(InvalidInputError, match=r"targets: .*no targeted form"):
        GaussianNoise()(Stubborn(), GREY, [0] * 3, targets=[1] * 3)
