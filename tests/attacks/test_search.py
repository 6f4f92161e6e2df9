"""The search for the smallest ε."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.attacks import attacks


class Threshold(nn.Module):
    """Class 0 where the mean of the image exceeds 0.3, with a count of the images it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += len(x)
        mean = x.flatten(1).mean(dim=1)
        return torch.stack([mean, torch.full_like(mean, 0.3)], dim=1)


def constant(*levels: float) -> torch.Tensor:
    return torch.stack([torch.full((1, 2, 2), level) for level in levels])


@pytest.mark.parametrize(("name", "norm"), [("fgsm", "linf"), ("bim", "linf"), ("pgd_linf", "linf"), ("pgd_l2", "l2")])
def test_every_image_gets_its_smallest_working_radius(name, norm):
    still = {"random_start": False} if name.startswith("pgd") else {}
    settings = {"steps": 10, "relative_step": 0.1} if name != "fgsm" else {}
    # The mean falls by ε (by ε/2 for the L2 ball in 4 dimensions) and must pass 0.3; the grid is 0.01 (0.1 for L2).
    steps, scale = (200, 2.0) if norm == "l2" else (100, 1.0)
    attack = attacks[name].create(search=True, search_steps=steps, **settings, **still)
    result = attack(Threshold(), constant(0.355, 0.905, 0.2), [0, 0, 0])
    assert result.scored.tolist() == [True, True, False]
    assert result.success.tolist() == [True, True, False]
    grid = 20 / 200 if norm == "l2" else 1 / 100
    smallest = [np.ceil(round(gap * scale / grid, 6)) * grid for gap in (0.055, 0.605)]
    np.testing.assert_allclose(result.epsilon[:2], smallest, atol=1e-9)
    np.testing.assert_allclose(getattr(result, norm)[:2], smallest, atol=1e-5)


def test_where_nothing_works_or_nothing_counts_the_original_comes_back():
    class Stubborn(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mean = x.flatten(1).mean(dim=1)
            return torch.stack([mean + 2, -mean], dim=1)

    images = constant(0.5, 0.6)
    result = attacks["bim"].create(search=True, search_steps=5)(Stubborn(), images, [0, 1])
    assert result.scored.tolist() == [True, False]
    assert not result.success.any()
    assert np.isnan(result.epsilon).all()
    np.testing.assert_array_equal(result.adversarial, images.numpy())


def test_only_unbroken_images_are_run_again():
    net = Threshold()
    # Broken at the grid's 1st, 2nd and 5th radius of 0.1; the fourth image is not scored.
    result = attacks["fgsm"].create(search=True, search_steps=10)(net, constant(0.35, 0.45, 0.75, 0.1), [0, 0, 0, 0])
    np.testing.assert_allclose(result.epsilon[:3], [0.1, 0.2, 0.5])
    tried = 3 + 2 + 1 + 1 + 1
    # Once to count the classes; clean, gradient, confirmation, attacked and rounded run the whole batch of four.
    assert net.seen == 1 + 5 * 4 + tried


def test_search_in_batches_and_targeted(monkeypatch):
    monkeypatch.setattr("engine.attacks.base.MAX_BATCH_IMAGES", 2)
    attack = attacks["bim"].create(search=True, search_steps=50)
    images = constant(0.35, 0.45, 0.75, 0.1, 0.2)
    result = attack(Threshold(), images, [0, 0, 0, 1, 1], targets=[1, 1, 1, 0, 1])
    assert result.scored.tolist() == [True, True, True, True, False]
    np.testing.assert_allclose(result.epsilon, [0.06, 0.16, 0.46, 0.22, np.nan], atol=1e-9)


def test_same_seed_same_radii():
    attack = attacks["pgd_linf"].create(search=True, search_steps=40, steps=3, relative_step=0.4)
    images = torch.rand(5, 1, 2, 2, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.4
    first, again = (attack(Threshold(), images, [0] * 5, seed=9) for _ in range(2))
    np.testing.assert_array_equal(first.epsilon, again.epsilon)
    np.testing.assert_array_equal(first.adversarial, again.adversarial)


@pytest.mark.parametrize(("name", "steps"), [("fgsm", 1000), ("bim", 100)])
def test_default_grids_are_the_papers(name, steps):
    attack = attacks[name].create(search=True)
    assert attack.settings["search_steps"] == steps
    assert attack.largest_epsilon == 1.0
