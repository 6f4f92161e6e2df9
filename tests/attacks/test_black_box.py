"""SPSA and NAttack: their estimates, when they stop, and what they ask."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.attacks.adam import Adam
from engine.attacks.black_box import margins, streams_of
from engine.attacks.inputs import Inputs
from engine.attacks.logits import Logits
from engine.attacks.nattack import NATTACK_PRESETS, NAttack
from engine.attacks.spsa import SPSA, SPSA_PRESETS
from engine.errors import Cancelled
from tests.attacks.nets import linear, pixels

WEIGHTS = torch.tensor([3.0, -4.0, 0.5, 0.0])
IMAGE = pixels([0.5, 0.25, 0.5, 0.75])


def slope(points: torch.Tensor) -> torch.Tensor:
    """The margin of a linear model: w·x for points (n, k, 1, 1, 4)."""
    return points.flatten(2) @ WEIGHTS


class Counting(nn.Module):
    """Class 0 where the mean exceeds 0.3; keeps the sizes of what it was given. Has no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(x))
        mean = x.detach().flatten(1).mean(dim=1)
        return torch.stack([mean, torch.full_like(mean, 0.3)], dim=1)


def test_adam_is_torchs_and_rows_can_drop_out():
    start = torch.randn(3, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    expected, ours = start.clone().requires_grad_(), start.clone()
    optimizer, adam = torch.optim.Adam([expected], lr=0.1), Adam(start, 0.1)
    for step in range(6):
        rows = torch.tensor([0, 1, 2] if step < 3 else [0, 2])
        gradient = torch.randn(3, 1, 2, 2, generator=torch.Generator().manual_seed(step))
        expected.grad = -gradient  # torch goes down
        optimizer.step()
        ours[rows] += adam.change(gradient[rows], rows)
        assert torch.allclose(ours[rows], expected.detach()[rows], atol=1e-6)


def test_margins_by_hand():
    logits, labels = torch.tensor([[2.0, 5.0, 3.0], [1.0, 0.0, -1.0]]), torch.tensor([1, 2])
    assert margins(logits, labels, None).tolist() == [-2.0, 2.0]
    assert margins(logits, labels, torch.tensor([0, 0])).tolist() == [-3.0, 1.0]


@pytest.mark.parametrize("delta", [0.5, 0.001])
def test_spsa_estimates_the_gradient_of_a_linear_model_without_bias(delta):
    # The estimate is 1/n Σ (w·v) v. Its mean is w, its variance in each coordinate (|w|² − wᵢ²)/n.
    attack = SPSA(directions=10_000, delta=delta)
    streams = streams_of(IMAGE, torch.Generator().manual_seed(1))
    estimate = attack.estimate(slope, IMAGE, torch.zeros_like(IMAGE), streams).ravel()
    assert torch.allclose(estimate, WEIGHTS, atol=4 * 5.1 / 100)
    # With a model that has a single weight every direction gives it exactly.
    alone = attack.estimate(lambda points: 3 * points.flatten(2)[:, :, 0], IMAGE, torch.zeros_like(IMAGE), streams)
    assert float(alone.ravel()[0]) == pytest.approx(3.0, rel=1e-3)


def test_spsa_estimate_is_the_papers_formula():
    attack = SPSA(directions=5, delta=0.1)
    square = lambda points: points.flatten(2).pow(3).sum(dim=2)  # noqa: E731
    estimate = attack.estimate(square, IMAGE, torch.zeros_like(IMAGE), [torch.Generator().manual_seed(3)])
    stream, total = torch.Generator().manual_seed(3), torch.zeros(4)
    for signs in torch.randint(2, (5, 4), generator=stream, dtype=torch.int8).float() * 2 - 1:
        up, down = IMAGE.ravel() + 0.1 * signs, IMAGE.ravel() - 0.1 * signs
        total += (up.pow(3).sum() - down.pow(3).sum()) / 0.2 * signs
    assert torch.allclose(estimate.ravel(), total / 5, atol=1e-5)


def test_nattack_estimate_is_the_papers_formula():
    attack = NAttack(samples=200, sigma=0.3, epsilon=0.25)
    mean = torch.tensor([0.1, -0.2, 0.0, 0.4]).reshape(1, 1, 1, 4)
    estimate = attack.estimate(lambda p: slope(p) - 10, IMAGE, mean, [torch.Generator().manual_seed(3)])
    noise = torch.randn(200, 4, generator=torch.Generator().manual_seed(3))
    rewards = (IMAGE.ravel() + 0.25 * (mean.ravel() + 0.3 * noise).tanh()).clamp(0, 1) @ WEIGHTS - 10
    advantages = (rewards - rewards.mean()) / rewards.std(correction=0)
    assert torch.allclose(estimate.ravel(), (advantages[:, None] * noise).sum(dim=0) / (200 * 0.3), atol=1e-3)
    # It points along the gradient of the margin, with a noise of 1/(0.3·√200) = 0.24 a coordinate.
    assert estimate.ravel()[0] > 1
    assert estimate.ravel()[1] < -1
    assert estimate.ravel()[3].abs() < 4 * 0.24


def test_rewards_of_broken_samples_are_all_zero():
    attack = NAttack(samples=50)
    nothing = attack.estimate(lambda p: slope(p) + 10, IMAGE, torch.zeros_like(IMAGE), [torch.Generator()])
    assert not nothing.any()


@pytest.mark.parametrize("attack", [SPSA(directions=100), NAttack(samples=100)])
def test_estimates_in_parts_are_the_same(attack, monkeypatch):
    def estimate() -> torch.Tensor:
        return attack.estimate(lambda p: slope(p) - 9, IMAGE, torch.zeros_like(IMAGE), [torch.Generator()])

    whole = estimate()
    monkeypatch.setattr("engine.attacks.black_box.MAX_QUERIES", 200)
    assert torch.allclose(estimate(), whole, atol=1e-4)


@pytest.mark.parametrize("attack", [SPSA(epsilon=0.3, directions=40, steps=30), NAttack(epsilon=0.3, samples=40)])
def test_no_more_is_asked_at_once_than_memory_allows(attack, monkeypatch):
    monkeypatch.setattr("engine.attacks.black_box.MAX_QUERIES", 16)
    net = Counting()
    attack(net, torch.full((3, 1, 4, 4), 0.55), [0, 0, 0])
    assert max(net.sizes) == 16


@pytest.mark.parametrize("name", ["spsa", "nattack"])
def test_a_broken_image_is_asked_about_no_more(name):
    # ε = 0.3: the first needs a small step, the second cannot be broken, the third is not class 0 to begin with.
    images = torch.stack([torch.full((1, 4, 4), level) for level in (0.31, 0.95, 0.1)])
    if name == "spsa":
        attack, each = SPSA(epsilon=0.3, directions=10, steps=12, learning_rate=0.05), 20
    else:
        attack, each = NAttack(epsilon=0.3, samples=20, steps=12, learning_rate=5.0), 20
    net = Counting()
    result = attack(net, images, [0, 0, 0], seed=2)
    assert result.success.tolist() == [True, False, False]
    assert result.scored.tolist() == [True, True, False]
    alone = Counting()
    attack(alone, images[1:2], [0])
    # The stubborn image costs all of its steps; the other two add no more than a few.
    assert sum(alone.sizes) >= 12 * each
    assert sum(net.sizes) < sum(alone.sizes) + 6 * each


@pytest.mark.parametrize("attack", [SPSA(epsilon=0.4, learning_rate=0.05), NAttack(epsilon=0.4, learning_rate=0.5)])
def test_saturated_pixels_move_and_no_gradient_is_needed(attack):
    class Rising(Counting):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).flip(1)

    # Black and white alone, mean 0.25: class 0 below 0.3. Only black pixels can raise the mean, only white lower it.
    image = pixels([0.0, 0.0, 0.0, 1.0])
    result = attack(Rising(), image, [0])
    assert result.success.all()
    assert (result.adversarial.ravel()[:3] > 0).any()


@pytest.mark.parametrize("attack", [SPSA(epsilon=0.5, learning_rate=0.5, steps=7), NAttack(epsilon=0.5, steps=7)])
def test_what_cannot_be_broken_comes_back_at_its_best(attack):
    class Peak(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.best = -np.inf

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            margin = -1 - (x - 0.6).abs().flatten(1).sum(dim=1)
            if len(x) == 1:
                self.best = max(self.best, float(margin))
            return torch.stack([-margin, torch.zeros_like(margin)], dim=1)

    net = Peak()
    model, image = Logits(net, "batch"), pixels([0.5, 0.9, 0.4, 0.2])
    found = attack.perturb(
        model, image, torch.tensor([0]), None, torch.Generator().manual_seed(0), lambda fraction, message: None
    )
    assert float(margins(model(found), torch.tensor([0]), None)) == pytest.approx(net.best, abs=1e-6)


def test_targeted_goes_to_the_target_alone():
    # Logits a, b, c of three pixels: from a to c, not to b, which is nearer.
    net = linear([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [0.0, 0.0, 0.0])
    image = pixels([0.5, 0.45, 0.3])
    for attack in (SPSA(epsilon=0.2, directions=64), NAttack(epsilon=0.2, learning_rate=1.0)):
        result = attack(net, image, [0], targets=[2])
        assert result.predictions_after.tolist() == [2]
        assert result.linf[0] <= 0.2 + 1e-6


@pytest.mark.parametrize("attack", [SPSA(directions=4), NAttack(samples=4)])
def test_streams_belong_to_the_images(attack):
    images = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    for seed in (0, 1):
        first = [s.initial_seed() for s in streams_of(images, torch.Generator().manual_seed(seed))]
        generator = torch.Generator().manual_seed(seed)
        split = [s.initial_seed() for part in (images[:2], images[2:]) for s in streams_of(part, generator)]
        assert first == split
        assert len(set(first)) == 5


def test_cancelling_between_parts_of_one_step(monkeypatch):
    monkeypatch.setattr("engine.attacks.black_box.MAX_QUERIES", 16)
    seen = []

    def stop(fraction: float, message: str) -> None:
        seen.append(message)
        if len(seen) == 5:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        SPSA(epsilon=0.1)(Counting(), torch.full((1, 1, 4, 4), 0.9), [0], progress=stop)
    assert all("step 1 of 100, 1 images unbroken" in message for message in seen[2:])


@pytest.mark.slow
@pytest.mark.parametrize(
    "attack", [SPSA(**SPSA_PRESETS["mnist"]), NAttack(**NATTACK_PRESETS["mnist"])], ids=["spsa", "nattack"]
)
def test_most_digits_break_at_0_3(attack, mnist, lenet):
    rows = np.arange(40)
    result = attack(lenet.module, mnist.test.images(rows), mnist.test.labels[rows])
    assert result.success_rate >= 0.95
    assert result.linf.max() <= 0.3 + 1e-6


def test_inputs_are_not_changed():
    batch = Inputs(IMAGE.clone(), torch.tensor([0]), None)
    NAttack(samples=4, steps=2)(Counting(), batch.images, batch.labels)
    assert torch.equal(batch.images, IMAGE)
