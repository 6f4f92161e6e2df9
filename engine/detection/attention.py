"""Contrast of classification and interpretation (Nguyen et al. 2017) on latent attention networks (Grimm et al. 2017).

An attention network learns which pixels of an image can be replaced by noise without changing the classifier's answer.
What is left, the mask, is classified by a second network. Where that one disagrees with the classifier, the image is
called adversarial.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.errors import EngineError, InvalidInputError
from engine.network.architectures.lenet5 import LeNet5
from engine.network.normalize import Normalize
from engine.network.state import evaluating
from engine.progress import Progress, silent

Noise = Literal["marginal", "uniform"]
EVALUATION_BATCH = 500


class TrainingImages(Protocol):
    """The training split of a data set."""

    def __len__(self) -> int:
        """Number of images."""

    def images(self, indices: npt.NDArray[np.int64]) -> Tensor:
        """(n, C, H, W) float32 in [0, 1]."""


@dataclass(frozen=True, slots=True)
class AttentionSettings:
    """How both networks are trained.

    Attributes:
        beta: how much corrupting the whole image is worth, in nats of cross-entropy.
        noise: what replaces a pixel: the same pixel of another training image, or a uniform number.
        hidden: units of each hidden layer of the attention network.
        epochs, mask_epochs: passes over the training images for the attention network and for the mask classifier.
        min_steps: a small training set is passed as often as this many steps take, the mask classifier's half of it.
        batch_size: images in a step.
        learning_rate: of Adam, for both.
        seed: of first weights, order and noise.
    """

    beta: float = 5.0
    noise: Noise = "marginal"
    hidden: int = 512
    epochs: int = 8
    mask_epochs: int = 3
    min_steps: int = 800
    batch_size: int = 100
    learning_rate: float = 1e-3
    seed: int = 0


class AttentionNetwork(nn.Module):
    """g: a fully connected network of three layers whose output A in [0, 1]ᵈ is how much of each pixel is corrupted."""

    def __init__(self, image_shape: tuple[int, int, int], hidden: int) -> None:
        """Makes the network with random weights for images (C, H, W)."""
        super().__init__()
        size = int(np.prod(image_shape))
        self.image_shape = image_shape
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, size), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """A (N, C, H, W) of images (N, C, H, W) in [0, 1]."""
        return self.layers(x).view(-1, *self.image_shape)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, eq=False)
class AttentionDetector:
    """The two trained networks; :func:`train_attention` makes one.

    Attributes:
        attention: g.
        mask_classifier: f₂, maps masks (N, C, H, W) to logits.
        settings: of the training.
        mean_attention: mean of the mask over the training images, in [0, 1].
    """

    attention: AttentionNetwork
    mask_classifier: nn.Module
    settings: AttentionSettings
    mean_attention: float

    def masks(self, images: Tensor) -> Tensor:
        """The masks m = 1 − A (N, C, H, W) in [0, 1]; 1 where the pixel matters."""
        with torch.no_grad():
            return torch.cat([1 - self.attention(batch) for batch in images.split(EVALUATION_BATCH)])  # type: ignore[no-untyped-call]

    def probabilities(self, images: Tensor) -> npt.NDArray[np.float64]:
        """What the masks look like to f₂, (N, K)."""
        with torch.no_grad():
            logits = [self.mask_classifier(batch) for batch in self.masks(images).split(EVALUATION_BATCH)]  # type: ignore[no-untyped-call]
            return functional.softmax(torch.cat(logits).double(), dim=1).numpy()

    def mask_classes(self, images: Tensor) -> npt.NDArray[np.int64]:
        """What f₂ calls the masks, (N,)."""
        classes: npt.NDArray[np.int64] = self.probabilities(images).argmax(axis=1).astype(np.int64)
        return classes

    def scores(self, images: Tensor, predictions: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """How adversarial images look: 1 − the probability f₂ gives to the classifier's prediction, (N,)."""
        return 1 - self.probabilities(images)[np.arange(len(images)), predictions]


def train_attention(
    model: nn.Module,
    images: TrainingImages,
    classes: int,
    settings: AttentionSettings | None = None,
    *,
    progress: Progress = silent,
) -> AttentionDetector:
    """Trains the attention network on a fixed classifier, then the mask classifier on its masks.

    Corrupted input x̃ = A·η + (1 − A)·x; minimised is the cross-entropy of f(x̃) to f(x), less β·mean(A).

    Args:
        model: f, maps (N, C, H, W) in [0, 1] to logits. It is never modified.
        images: the training images.
        classes: number of logits.
        settings: of the training.
        progress: called after every step; may raise Cancelled.

    Raises:
        InvalidInputError: for settings out of range.
        EngineError: if the loss stops being finite.
    """
    chosen = _passes(settings or AttentionSettings(), len(images))
    first = images.images(np.arange(1))
    shape = (int(first.shape[1]), int(first.shape[2]), int(first.shape[3]))
    attention, mask_classifier = new_networks(shape, classes, chosen)
    generator = torch.Generator().manual_seed(chosen.seed)
    total = chosen.epochs + chosen.mask_epochs
    with evaluating(model):
        steps = _Steps(images, chosen, generator)
        for epoch in range(chosen.epochs):
            _train_attention(model, attention, steps, lambda f, m, e=epoch: progress((e + f) / total, m))  # type: ignore[misc]
        mean = _train_mask_classifier(model, attention, mask_classifier, steps, progress)
    return AttentionDetector(attention.eval(), mask_classifier.eval(), chosen, mean)


def new_networks(
    image_shape: tuple[int, int, int], classes: int, settings: AttentionSettings
) -> tuple[AttentionNetwork, LeNet5]:
    """The attention network and the mask classifier, untrained.

    Raises:
        InvalidInputError: if the images (C, H, W) are too small for the mask classifier.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        middle = (0.5,) * image_shape[0]
        return AttentionNetwork(image_shape, settings.hidden), LeNet5(classes, image_shape, Normalize(middle, middle))


class _Steps:
    """Batches of training images in a new random order each epoch, with their noise."""

    def __init__(self, images: TrainingImages, settings: AttentionSettings, generator: torch.Generator) -> None:
        self.images = images
        self.settings = settings
        self.generator = generator
        self.optimizers: dict[int, torch.optim.Optimizer] = {}

    def __iter__(self) -> Iterator[tuple[float, Tensor]]:
        order = torch.randperm(len(self.images), generator=self.generator)
        batches = order.split(self.settings.batch_size)  # type: ignore[no-untyped-call]
        for number, batch in enumerate(batches):
            yield (number + 1) / len(batches), self.images.images(batch.numpy())

    def noise(self, batch: Tensor) -> Tensor:
        """η (N, C, H, W): each pixel drawn alone, from its own distribution over training images or uniformly."""
        if self.settings.noise == "uniform":
            return torch.rand(batch.shape, generator=self.generator)
        flat = batch.flatten(1)
        others = torch.randint(0, len(flat), flat.shape, generator=self.generator)
        return flat.gather(0, others).view_as(batch)

    def minimise(self, module: nn.Module, loss: Tensor) -> float:
        """One step of Adam; gives the loss."""
        value = float(loss.detach())
        if not np.isfinite(value):
            raise EngineError(f"the loss of {type(module).__name__} became {value}; lower the learning rate.")
        parameters = list(module.parameters())
        known = self.optimizers.setdefault(id(module), torch.optim.Adam(parameters, lr=self.settings.learning_rate))
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        known.step()
        return value


def _train_attention(model: nn.Module, attention: AttentionNetwork, steps: _Steps, progress: Progress) -> None:
    for fraction, batch in steps:
        with torch.no_grad():
            wanted = functional.softmax(model(batch.clone()), dim=1)
        share = attention(batch)
        corrupted = share * steps.noise(batch) + (1 - share) * batch
        loss = functional.cross_entropy(model(corrupted), wanted) - steps.settings.beta * share.mean()
        value = steps.minimise(attention, loss)
        progress(fraction, f"attention network, loss {value:.3f}, {float(share.detach().mean()):.0%} corrupted")


def _train_mask_classifier(
    model: nn.Module, attention: AttentionNetwork, mask_classifier: nn.Module, steps: _Steps, progress: Progress
) -> float:
    """f₂ learns the classifier's own answers from the masks; gives the mean of the masks."""
    settings, means = steps.settings, []
    total = settings.epochs + settings.mask_epochs
    for epoch in range(settings.mask_epochs):
        for fraction, batch in steps:
            with torch.no_grad():
                mask = 1 - attention(batch)
                answers = model(batch.clone()).argmax(dim=1)
            means.append(float(mask.mean()))
            value = steps.minimise(mask_classifier, functional.cross_entropy(mask_classifier(mask), answers))
            progress((settings.epochs + epoch + fraction) / total, f"mask classifier, loss {value:.3f}")
    return float(np.mean(means))


def _passes(settings: AttentionSettings, images: int) -> AttentionSettings:
    """The settings with as many epochs as the least number of steps takes."""
    _check(settings)
    batches = math.ceil(images / settings.batch_size)
    least = (math.ceil(settings.min_steps / batches), math.ceil(settings.min_steps / 2 / batches))
    epochs, mask_epochs = max(settings.epochs, least[0]), max(settings.mask_epochs, least[1])
    return replace(settings, epochs=epochs, mask_epochs=mask_epochs)


def _check(settings: AttentionSettings) -> None:
    whole = (settings.min_steps, settings.hidden, settings.epochs, settings.mask_epochs, settings.batch_size)
    if min(whole) < 1 or not settings.learning_rate > 0 or not settings.beta >= 0:
        raise InvalidInputError(
            "expected beta ≥ 0, a positive learning rate, and at least 1 for units, epochs, steps and batch size; "
            f"got {settings}."
        )
