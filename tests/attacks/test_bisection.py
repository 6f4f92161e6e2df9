"""The search for the smallest ε by bisection."""

import numpy as np
import pytest
import torch

from engine.attacks import attacks
from engine.errors import InvalidInputError
from tests.attacks.nets import Stubborn
from tests.attacks.test_search import Threshold, constant

AUTHORS = attacks["bim"].facts["presets"]["authors"]


@pytest.mark.parametrize("name", ["bim", "mi_fgsm"])
def test_every_image_gets_its_smallest_working_radius(name):
    # The mean has to fall below 0.3; the last image is wrong already. 0.45 and 0.675 are tried for the second.
    result = attacks[name].create(**AUTHORS)(Threshold(), constant(0.355, 0.905, 0.2), [0, 0, 0])
    assert result.success.tolist() == [True, True, False]
    np.testing.assert_allclose(result.epsilon[:2], [0.055, 0.605], atol=1e-5)
    np.testing.assert_allclose(result.linf[:2], [0.055, 0.605], atol=1e-5)
    assert np.isnan(result.epsilon[2])


def test_it_halves_from_the_first_radius_that_works():
    # From 0.1 by half: 0.1, 0.15 and 0.225 works; then 0.1125, 0.16875 and 0.196875, of which the last two fail.
    attack = attacks["bim"].create(epsilon=0.1, search=True, search_kind="bisection", search_steps=3)
    result = attack(Threshold(), constant(0.5), [0])
    assert result.epsilon[0] == pytest.approx(0.225)
    finer = attacks["bim"].create(epsilon=0.1, search=True, search_kind="bisection", search_steps=5)
    # 0.2109375 works, 0.20390625 works
    assert finer(Threshold(), constant(0.5), [0]).epsilon[0] == pytest.approx(0.20390625)


def test_targeted_and_in_batches(monkeypatch):
    monkeypatch.setattr("engine.attacks.base.MAX_BATCH_IMAGES", 2)
    result = attacks["bim"].create(**AUTHORS)(
        Threshold(), constant(0.35, 0.45, 0.75, 0.1, 0.2), [0, 0, 0, 1, 1], targets=[1, 1, 1, 0, 1]
    )
    np.testing.assert_allclose(result.epsilon, [0.05, 0.15, 0.45, 0.2, np.nan], atol=1e-5)


def test_where_nothing_works_the_original_comes_back():
    images = constant(0.5, 0.6)
    result = attacks["bim"].create(**AUTHORS)(Stubborn(), images, [0, 1])
    assert not result.success.any()
    assert np.isnan(result.epsilon).all()
    np.testing.assert_array_equal(result.adversarial, images.numpy())


def test_it_needs_a_radius_to_begin_with():
    with pytest.raises(InvalidInputError, match="epsilon"):
        attacks["bim"].create(**{**AUTHORS, "epsilon": 0.0})
    assert attacks["bim"].create(epsilon=0.0).epsilon == 0


def test_progress_rises_through_both_phases():
    seen: list[float] = []
    attack = attacks["bim"].create(**AUTHORS)
    attack(Threshold(), constant(0.905, 0.4), [0, 0], progress=lambda fraction, _: seen.append(fraction))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 1)


def test_the_radius_is_never_larger_than_that_of_the_grid(net, images, labels):
    grid = attacks["bim"].create(search=True)(net, images, labels)
    halved = attacks["bim"].create(**{**AUTHORS, "relative_step": 0.1})(net, images, labels)
    assert torch.equal(torch.from_numpy(grid.success), torch.from_numpy(halved.success))
    assert (halved.epsilon[halved.success] <= grid.epsilon[grid.success] + 1e-6).all()
