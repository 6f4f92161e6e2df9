"""What an attack refuses, and what it says."""

import numpy as np
import pytest
import torch
from torch import nn

from engine.attacks import attacks
from engine.errors import EngineError, InvalidInputError


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x[0], r"shape \(N, C, H, W\)"),
        (lambda x: x[:0], "at least one image"),
        (lambda x: (x * 255).byte(), "floating-point"),
        (lambda x: x.tolist(), "floating-point"),
        (lambda x: x * 2, "from 0"),
        (lambda x: x - 0.5, "Normalisation belongs in the model"),
        (lambda x: torch.where(x == x.max(), torch.nan, x), "finite"),
        (lambda x: torch.where(x == x.max(), torch.inf, x), "finite"),
    ],
)
def test_bad_images(net, images, labels, spoil, message):
    with pytest.raises(InvalidInputError, match=message):
        attacks["fgsm"].create()(net, spoil(images), labels)


@pytest.mark.parametrize("what", ["labels", "targets"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 1, 2], "expected 6 whole numbers"),
        ([0.0] * 6, "float64"),
        ([True] * 6, "bool"),
        ([[0]] * 6, "one per image"),
        ([0, 1, 2, 0, 1, -1], "got -1"),
        ([0, 1, 2, 0, 1, 3], "from 0 to 2, the model's; got 3"),
    ],
)
def test_bad_classes(net, images, labels, what, values, message):
    given = {"labels": labels, "targets": None, what: values}
    with pytest.raises(InvalidInputError, match=f"{what}: .*{message}"):
        attacks["bim"].create()(net, images, given["labels"], targets=given["targets"])


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "1", None])
def test_bad_seed(net, images, labels, seed):
    with pytest.raises(InvalidInputError, match="seed"):
        attacks["fgsm"].create()(net, images, labels, seed=seed)


def test_numpy_seed(net, images, labels):
    result = attacks["pgd_l2"].create(steps=1)(net, images, labels, seed=np.int64(3))
    assert type(result.seed) is int


def test_bad_model(images):
    with pytest.raises(InvalidInputError, match="Module"):
        attacks["fgsm"].create()(lambda x: x.flatten(1), images, [0] * 6)


class Answer(nn.Module):
    """Answers with what a function makes of the flattened images."""

    def __init__(self, answer) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: torch.Tensor) -> object:
        return self.answer(x.flatten(1))


@pytest.mark.parametrize("answer", [lambda x: x[:, 0], lambda x: x[:, :1], lambda x: (x, x), lambda x: x[None]])
def test_models_that_do_not_answer_with_logits(images, answer):
    with pytest.raises(EngineError, match="expected logits of shape"):
        attacks["fgsm"].create()(Answer(answer), images, [0] * 6)


@pytest.mark.parametrize("answer", [lambda x: x.detach(), lambda x: torch.ones(len(x), 3, requires_grad=True)])
def test_models_without_a_gradient(images, answer):
    with pytest.raises(EngineError, match="no gradient reaches the images"):
        attacks["fgsm"].create()(Answer(answer), images, [0] * 6)


def test_gradients_that_are_not_finite(images):
    # The root's derivative at zero is infinite while the logits are finite.
    net = Answer(lambda x: torch.stack([(x[:, 0] * 0).sqrt(), x[:, 1] * 0 - 1], dim=1))
    with pytest.raises(EngineError, match=r"batch index 0 .*finite gradients"):
        attacks["fgsm"].create()(net, images, [0] * 6)


def test_memory_does_not_grow_with_the_number_of_images():
    largest = []
    net = Answer(lambda x: (largest.append(len(x)), x[:, :2])[1])
    attacks["fgsm"].create()(net, torch.rand(600, 1, 2, 2), [0] * 600)
    assert max(largest) == 256
    largest.clear()
    attacks["fgsm"].create()(net, torch.rand(30, 3, 224, 224), [0] * 30)
    assert max(largest) == 2_000_000 // (3 * 224 * 224)


def test_success_rate_without_scored_images(net, images, labels):
    result = attacks["fgsm"].create()(net, images[-1:], labels[-1:])
    assert np.isnan(result.success_rate)
