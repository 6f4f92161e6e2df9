"""The attention network keeps what the classifier needs, and the contrast finds attacked images."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from engine.detection.attention import AttentionSettings, train_attention
from engine.detection.metrics import area
from engine.errors import Cancelled, InvalidInputError

SETTINGS = AttentionSettings(hidden=64, min_steps=1, epochs=6, mask_epochs=4, batch_size=50)


class Corner:
    """Images of noise; the class is whether the middle of the upper left quarter is bright."""

    def __init__(self, n=600, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.pixels = torch.rand(n, 1, 12, 12, generator=generator)
        bright = (torch.rand(n, generator=generator) > 0.5).float()
        self.pixels[:, 0, 2:5, 2:5] = bright[:, None, None]
        self.labels = bright.long().numpy()

    def __len__(self):
        return len(self.pixels)

    def images(self, indices):
        return self.pixels[torch.as_tensor(indices)]


class LooksAtCorner(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(12.0))

    def forward(self, x):
        mean = x[:, 0, 2:5, 2:5].mean((1, 2)) - 0.5
        return self.scale * torch.stack([-mean, mean], 1)


@pytest.fixture(scope="module")
def trained():
    model, data = LooksAtCorner(), Corner()
    return model, data, train_attention(model, data, 2, SETTINGS)


def test_the_mask_keeps_the_pixels_that_the_answer_needs(trained):
    _, data, detector = trained
    masks = detector.masks(data.pixels[:100]).mean(0)[0]
    needed = torch.zeros(12, 12, dtype=torch.bool)
    needed[2:5, 2:5] = True
    assert masks[needed].mean() > masks[~needed].mean() + 0.2
    assert 0 <= masks.min() <= masks.max() <= 1


@pytest.mark.slow
def test_the_mask_classifier_agrees_on_normal_images_and_scores_are_its_doubt(classifier, digits):
    settings = AttentionSettings(hidden=128, min_steps=1, epochs=12, mask_epochs=12, batch_size=50)
    detector = train_attention(classifier.module, digits.train, 10, settings)
    images = digits.test.images(range(len(digits.test)))
    predictions = classifier.module(images).argmax(1).numpy()
    probabilities = detector.probabilities(images)
    assert (probabilities.argmax(1) == predictions).mean() > 0.75
    normal, wrong = detector.scores(images, predictions), detector.scores(images, (predictions + 1) % 10)
    np.testing.assert_allclose(normal, 1 - probabilities[np.arange(len(images)), predictions])
    assert area(normal, wrong) > 0.9


def test_the_same_seed_gives_the_same_networks_and_the_model_is_left_alone():
    model, data = LooksAtCorner().train(), Corner(100)
    quick = replace(SETTINGS, epochs=1, mask_epochs=1)
    state = torch.random.get_rng_state()
    one, other = (train_attention(model, data, 2, quick) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, value in one.attention.state_dict().items():
        assert torch.equal(value, other.attention.state_dict()[name])
    assert model.training
    assert model.scale.grad is None


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"learning_rate": 0.0}, {"beta": -1.0}, {"beta": float("nan")}])
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(InvalidInputError):
        train_attention(LooksAtCorner(), Corner(10), 2, replace(SETTINGS, **bad))


def test_it_can_be_stopped():
    def stop(fraction, message):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        train_attention(LooksAtCorner(), Corner(60), 2, SETTINGS, progress=stop)


def test_a_small_set_is_passed_until_the_least_number_of_steps_is_done(classifier, digits):
    told = []
    settings = AttentionSettings(hidden=8, epochs=1, mask_epochs=1, min_steps=40, batch_size=100)
    detector = train_attention(
        classifier.module, digits.train, 10, settings, progress=lambda fraction, message: told.append(message)
    )
    batches = -(-len(digits.train) // 100)
    assert sum(message.startswith("attention") for message in told) == 3 * batches >= 40
    assert sum(message.startswith("mask") for message in told) == 2 * batches >= 20
    assert (detector.settings.epochs, detector.settings.mask_epochs) == (3, 2)
