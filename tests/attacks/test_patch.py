"""The adversarial patch: where it goes, what it covers, what it learns."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from engine.attacks.patch import AdversarialPatch, pasted
from engine.errors import Cancelled, InvalidInputError

WHOLE = {"scale_low": 1.0, "scale_high": 1.0, "rotation": 0.0}


def disc(height: int, width: int, scale: float, across: float, down: float) -> tuple[np.ndarray, tuple[float, ...]]:
    """Pixels whose centres lie in the disc, one by one, and the disc's edges left, right, top and bottom."""
    radius = scale * min(height, width) / 2
    x, y = radius + across * (width - 2 * radius), radius + down * (height - 2 * radius)
    inside = [[math.hypot(c + 0.5 - x, r + 0.5 - y) <= radius for c in range(width)] for r in range(height)]
    return np.array(inside), (x - radius, x + radius, y - radius, y + radius)


class Pattern(nn.Module):
    """Class 1 where the image resembles a pattern of −1 and 1 by more than ``threshold`` a pixel."""

    def __init__(self, pattern: torch.Tensor, threshold: float) -> None:
        super().__init__()
        self.register_buffer("pattern", pattern)
        self.threshold = threshold

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        likeness = (x * self.pattern).flatten(1).mean(dim=1)
        return torch.stack([torch.full_like(likeness, self.threshold), likeness], dim=1)


CHECKS = (torch.arange(8)[:, None] + torch.arange(8)[None, :]) % 2 * 2.0 - 1


@pytest.mark.parametrize(("height", "width"), [(28, 28), (20, 32), (33, 17)])
@pytest.mark.parametrize("scale", [0.1, 0.37, 1.0])
@pytest.mark.parametrize(("across", "down"), [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.3, 0.8)])
def test_only_pixels_under_the_disc_change_and_it_stays_in_the_frame(height, width, scale, across, down):
    images = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)) * 0.5
    side = min(height, width)
    placement = torch.tensor([[scale, 0.7, across, down]])
    result = pasted(images, torch.ones(1, 3, side, side), placement)
    inside, (left, right, top, bottom) = disc(height, width, scale, across, down)
    assert min(left, top) >= -1e-9
    assert right <= width + 1e-9
    assert bottom <= height + 1e-9
    changed = (result != images)[0].numpy()
    # The disc touches the frame for the extreme positions, and whole it has as many pixels as its area.
    for channel in changed:
        np.testing.assert_array_equal(channel, inside)
    if scale > 0.3:
        assert inside.sum() == pytest.approx(math.pi / 4 * (scale * side) ** 2, rel=0.12)
    assert float(result[0][torch.from_numpy(changed)].min()) == pytest.approx(1.0, abs=1e-6)


def test_rotation_is_clockwise_and_turns_the_content():
    patch = torch.zeros(1, 1, 16, 16)
    patch[..., 8:] = 1.0  # white on the right
    image = torch.full((1, 1, 16, 16), 0.5)
    for angle, (row, column) in {0.0: (8, 14), math.pi / 2: (14, 8), math.pi: (8, 1), -math.pi / 2: (1, 8)}.items():
        result = pasted(image, patch, torch.tensor([[1.0, angle, 0.5, 0.5]]))[0, 0]
        assert float(result[row, column]) == pytest.approx(1.0, abs=1e-4)
        assert float(result[15 - row, 15 - column]) == pytest.approx(0.0, abs=1e-4)
        assert float(result[0, 0]) == 0.5


def test_a_patch_is_scaled_by_averaging_neighbours():
    # At scale 1 without rotation every pixel of the patch meets one of the image.
    patch = torch.rand(1, 2, 9, 9, generator=torch.Generator().manual_seed(4))
    result = pasted(torch.zeros(1, 2, 9, 9), patch, torch.tensor([[1.0, 0.0, 0.5, 0.5]]))
    inside, _ = disc(9, 9, 1.0, 0.5, 0.5)
    np.testing.assert_allclose(result[0].numpy()[:, inside], patch[0].numpy()[:, inside], atol=1e-6)


@pytest.mark.parametrize("control", ["learnt", "random", "white"])
def test_one_patch_for_all_images_whatever_the_batches(control, monkeypatch):
    monkeypatch.setattr("engine.attacks.base.MAX_BATCH_IMAGES", 2)
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    result = AdversarialPatch(control=control, steps=3, **WHOLE)(Pattern(CHECKS, 0.2), images, [0] * 5, seed=3)
    inside, _ = disc(8, 8, 1.0, 0.5, 0.5)
    covered = result.adversarial[:, 0][:, inside]
    np.testing.assert_array_equal(covered, np.broadcast_to(covered[0], covered.shape))
    np.testing.assert_array_equal(result.adversarial[:, 0][:, ~inside], images[:, 0].numpy()[:, ~inside])
    if control == "white":
        np.testing.assert_allclose(covered, 1.0, atol=1e-6)
    if control == "random":
        assert len(np.unique(covered[0])) == inside.sum()


def test_the_learnt_patch_is_the_pattern_and_beats_the_controls():
    # The gradient is the pattern's sign: white where it is 1, black where it is −1. Likeness of the whole disc of 52 of
    # 64 pixels: 26/64 = 0.41; of white or of noise about 0.
    net, images = Pattern(CHECKS, 0.3), torch.full((4, 1, 8, 8), 0.5)
    result = AdversarialPatch(steps=40, **WHOLE)(net, images, [0] * 4)
    inside, _ = disc(8, 8, 1.0, 0.5, 0.5)
    np.testing.assert_allclose(result.adversarial[0, 0][inside], (CHECKS.numpy()[inside] + 1) / 2, atol=1e-6)
    assert result.success.all()
    for control in ("random", "white"):
        assert not AdversarialPatch(control=control, **WHOLE)(net, images, [0] * 4).success.any()


def test_targeted_leads_to_the_target():
    # Three classes by the mean; from the middle one, a patch towards each side.
    class Levels(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mean = x.flatten(1).mean(dim=1)
            return -20 * (mean[:, None] - torch.tensor([0.1, 0.5, 0.9])).abs()

    images = torch.full((3, 1, 8, 8), 0.5)
    for target in (0, 2):
        attack = AdversarialPatch(steps=60, **WHOLE)
        result = attack(Levels(), images, [1, 1, target], targets=[target] * 3)
        assert result.scored.tolist() == [True, True, False]
        assert result.predictions_after.tolist()[:2] == [target, target]


def test_controls_need_no_gradient_and_do_not_learn():
    class Blind(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.detach().flatten(1)[:, :2].round()

    images = torch.rand(3, 1, 8, 8)
    for control in ("random", "white"):
        AdversarialPatch(control=control)(Blind(), images, [0, 0, 0])


def test_a_learnt_patch_can_be_put_on_other_images():
    attack = AdversarialPatch(steps=5, **WHOLE)
    patch = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    given = dataclasses.replace(attack, patch=patch)
    result = given(Pattern(CHECKS, 0.2), torch.zeros(2, 1, 8, 8), [0, 0])
    inside, _ = disc(8, 8, 1.0, 0.5, 0.5)
    np.testing.assert_allclose(result.adversarial[0, 0][inside], patch[0, 0].numpy()[inside], atol=1e-6)
    assert result.settings == attack.settings
    with pytest.raises(InvalidInputError, match="patch: expected 3 channels"):
        given(nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 2)), torch.zeros(2, 3, 8, 8), [0, 0])


def test_placements_cover_the_ranges_and_belong_to_the_images():
    attack = AdversarialPatch(scale_low=0.2, scale_high=0.4, rotation=90.0)
    drawn = attack._placements(2000, torch.Generator().manual_seed(0))
    low, high = drawn.amin(dim=0), drawn.amax(dim=0)
    np.testing.assert_allclose(low, [0.2, -math.pi / 2, 0, 0], atol=0.01)
    np.testing.assert_allclose(high, [0.4, math.pi / 2, 1, 1], atol=0.01)
    generator = torch.Generator().manual_seed(0)
    again = torch.cat([attack._placements(count, generator) for count in (1, 1500, 499)])
    assert torch.equal(drawn, again)


def test_scales_the_wrong_way_round_are_refused():
    with pytest.raises(InvalidInputError, match=r"scale_low: expected at most scale_high, 0\.2; got 0\.5"):
        AdversarialPatch(scale_low=0.5, scale_high=0.2)


def test_learning_reports_and_can_be_cancelled():
    seen = []

    def stop(fraction: float, message: str) -> None:
        seen.append((fraction, message))
        if "step 3 of 10" in message:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        AdversarialPatch(steps=10)(Pattern(CHECKS, 0.2), torch.zeros(2, 1, 8, 8), [0, 0], progress=stop)
    assert seen[-1] == (pytest.approx(0.9 * 0.2), "patch: learning the patch, step 3 of 10")


@pytest.mark.slow
def test_on_digits_it_does_more_than_covering_them(mnist, lenet):
    rows = np.arange(200)
    images, labels = mnist.test.images(rows), mnist.test.labels[rows]
    rates = {
        control: AdversarialPatch(control=control, scale_low=0.5)(lenet.module, images, labels).success_rate
        for control in ("learnt", "random", "white")
    }
    assert rates["learnt"] > rates["white"] + 0.1
    assert rates["learnt"] > rates["random"] + 0.2
