"""Plain training."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.datasets.catalogue import load_dataset
from engine.datasets.dataset import ArrayImages, Dataset
from engine.errors import Cancelled, EngineError, InvalidInputError
from engine.hardening.augmentation import augmented
from engine.hardening.images import channel_statistics, evaluate_accuracy
from engine.hardening.recipes import RECIPES, Recipe
from engine.hardening.training import train_classifier
from engine.network.checkpoint import save_checkpoint
from engine.network.classifiers import load_classifier

DATA = Path(os.environ.get("DETOUR_DATA", "/nonexistent"))


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def test_report(digits):
    model, report = train_classifier("lenet5", digits, epochs=3, seed=1)
    assert report.loss.shape == report.accuracy.shape == (3,)
    assert report.loss[0] > report.loss[-1]
    assert report.accuracy[-1] > 0.7
    assert report.test_accuracy == evaluate_accuracy(model, digits.test)
    assert not model.training
    assert (report.seed, report.recipe.epochs, report.dataset_key) == (1, 3, digits.key)


def test_same_seed_same_weights_and_nothing_else_changes(digits):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first, _ = train_classifier("lenet5", digits, epochs=1, seed=3)
    torch.rand(5)
    second, _ = train_classifier("lenet5", digits, epochs=1, seed=3)
    other, _ = train_classifier("lenet5", digits, epochs=1, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.fc3.weight, other.fc3.weight)
    torch.set_rng_state(state)
    train_classifier("lenet5", digits, epochs=1)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_trained_model_can_be_saved_and_loaded(digits, tmp_path):
    model, report = train_classifier("lenet5", digits, epochs=1)
    save_checkpoint(model, tmp_path / "mine.safetensors", report.card())
    classifier = load_classifier("mine", tmp_path)
    images = digits.test.images(range(5))
    assert torch.equal(classifier.module(images), model(images))
    assert (classifier.architecture, classifier.dataset, classifier.classes) == ("lenet5", "digits", digits.classes)


def test_progress_and_cancel(digits):
    fractions = []
    train_classifier("lenet5", digits, epochs=1, progress=lambda fraction, _: fractions.append(fraction))
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1

    def cancel(fraction, message):
        raise Cancelled

    with pytest.raises(Cancelled):
        train_classifier("lenet5", digits, epochs=1, progress=cancel)


@pytest.mark.parametrize("settings", [{"epochs": 0}, {"lr": 0.0}, {"lr": float("nan")}, {"batch_size": 0}])
def test_settings_out_of_range(digits, settings):
    with pytest.raises(InvalidInputError, match="expected epochs"):
        train_classifier("lenet5", digits, **settings)


def test_diverging_loss_names_the_batch(digits):
    with pytest.raises(EngineError, match=r"epoch \d+, batch \d+"):
        train_classifier("lenet5", digits, epochs=3, lr=1e30)


def test_statistics():
    pixels = np.zeros((4, 2, 1, 1), dtype=np.uint8)
    pixels[:2, 0] = 255
    assert channel_statistics(ArrayImages(pixels, np.zeros(4, dtype=np.int64))) == ((0.5, 0.0), (0.5, 1.0))


def test_nan_is_never_right(digits):
    class Broken(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(float("nan")))

        def forward(self, x):
            return self.scale * torch.zeros(len(x), 10)

    assert evaluate_accuracy(Broken(), digits.test) == 0


@pytest.mark.slow
def test_small_colour_network_trains():
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 2
    pixels = (
        generator.integers(0, 100, (60, 3, 32, 32), dtype=np.uint8)
        + (labels * 100).astype(np.uint8)[:, None, None, None]
    )
    images = ArrayImages(pixels, labels)
    data = Dataset("toy", "Toy", ("dark", "light"), (3, 32, 32), images, images, "0")
    _, report = train_classifier("alexnet32", data, epochs=8, batch_size=10)
    assert report.test_accuracy > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits"])
def test_shipped_weights_can_be_trained_again(name):
    model, report = train_classifier("lenet5", name, seed=0)
    shipped = load_classifier(f"lenet5-{name}")
    assert report.test_accuracy >= 0.98
    # Bit for bit on the machine that made them; elsewhere the arithmetic's last digits differ and grow.
    agree = (
        (
            model(load_dataset(name).test.images(range(355))).argmax(1)
            == shipped.module(load_dataset(name).test.images(range(355))).argmax(1)
        )
        .float()
        .mean()
    )
    assert agree > 0.97


def test_images_are_mirrored_and_shifted_within_their_border():
    images = torch.rand(200, 3, 6, 6) + 1
    recipe = Recipe("adam", 1e-3, 0.0, 10, 1, flips=True, crop_padding=2)
    changed = augmented(images, recipe, torch.Generator().manual_seed(0))
    places = set()
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    for before, after in zip(padded, changed, strict=True):
        found = [
            (mirrored, y, x)
            for mirrored in (False, True)
            for y in range(5)
            for x in range(5)
            if torch.equal((before.flip(2) if mirrored else before)[:, y : y + 6, x : x + 6], after)
        ]
        assert len(found) == 1
        places.update(found)
    assert len(places) > 40  # of the 50 there are


def test_a_recipe_without_augmentation_leaves_the_images_alone():
    images = torch.rand(3, 1, 4, 4)
    assert augmented(images, Recipe("adam", 1e-3, 0.0, 10, 1), torch.Generator()) is images


def test_weights_rounded_to_half_precision_are_kept_in_half_the_bytes_without_loss(digits, tmp_path, monkeypatch):
    recipe = Recipe("adam", 1e-3, 0.0, 64, 1, precision="bfloat16", stored="float16")
    monkeypatch.setitem(RECIPES, ("lenet5", "digits"), recipe)
    model, report = train_classifier("lenet5", digits)
    assert all(torch.equal(p, p.half().float()) for p in model.parameters())
    assert report.test_accuracy == evaluate_accuracy(model, digits.test)
    save_checkpoint(model, tmp_path / "half.safetensors", report.card(), dtype=torch.float16)
    save_checkpoint(model, tmp_path / "full.safetensors", report.card())
    small, full = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "full"))
    assert small < 0.55 * full
    loaded = load_classifier("half", tmp_path).module
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
