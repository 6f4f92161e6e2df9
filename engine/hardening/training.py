"""Plain ("vanilla") training of a classifier, reproducible from its seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.datasets.catalogue import load_dataset
from engine.datasets.dataset import Dataset, ImageSet
from engine.errors import EngineError, InvalidInputError
from engine.hardening.recipes import Recipe, recipe_for
from engine.network.catalogue import build_model, models
from engine.progress import Progress, silent

EVALUATION_BATCH = 1000


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What training did.

    Attributes:
        architecture, dataset, dataset_key: what was trained on what.
        dataset_folder: the folder of images, for a data set that is not in the catalogue; else "".
        label: what a person reads ("LeNet-5 · MNIST").
        classes, image_shape: the data set's.
        recipe: the settings used.
        seed: of the first weights and of the order of the images.
        threads: CPU threads used; another number gives slightly other weights.
        loss: (epochs,) float64, mean training loss of each epoch, in nats.
        accuracy: (epochs,) float64, share of training images right while the epoch ran.
        test_accuracy: share of the test images right at the end.
    """

    architecture: str
    dataset: str
    dataset_key: str
    dataset_folder: str
    label: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    recipe: Recipe
    seed: int
    threads: int
    loss: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    test_accuracy: float

    def card(self) -> dict[str, object]:
        """What :mod:`engine.network.classifiers` needs to load the model again, and how it was made; plain values."""
        folder = {"dataset_folder": self.dataset_folder} if self.dataset_folder else {}
        return {
            "label": self.label,
            "architecture": self.architecture,
            "dataset": self.dataset,
            "classes": list(self.classes),
            "image_shape": list(self.image_shape),
            "dataset_key": self.dataset_key,
            **folder,
            "recipe": asdict(self.recipe),
            "seed": self.seed,
            "threads": self.threads,
            "epochs": self.recipe.epochs,
            "train_loss": round(float(self.loss[-1]), 6),
            "train_accuracy": round(float(self.accuracy[-1]), 6),
            "test_accuracy": round(self.test_accuracy, 6),
        }


def train_classifier(
    architecture: str,
    dataset: str | Dataset,
    *,
    epochs: int | None = None,
    seed: int = 0,
    lr: float | None = None,
    batch_size: int | None = None,
    threads: int = 1,
    device: str = "cpu",
    progress: Progress = silent,
) -> tuple[nn.Module, TrainingReport]:
    """Trains an architecture of the catalogue on a data set, without attacks.

    Settings that are not given come from :mod:`engine.hardening.recipes`. The same seed and number of threads give
    the same weights bit for bit on one machine's CPU; the global random state and thread count are left as they were.

    Returns:
        the model in eval mode on the CPU, normalisation inside, and the report.

    Raises:
        InvalidInputError: for a setting out of range.
        EngineError: if the loss stops being finite; names the batch.
    """
    data = load_dataset(dataset, progress=silent) if isinstance(dataset, str) else dataset
    recipe = _complete(recipe_for(architecture, data.name), epochs, lr, batch_size)
    mean, std = channel_statistics(data.train)
    with _reproducible(seed, threads):
        model = build_model(architecture, len(data.classes), data.image_shape, mean=mean, std=std).to(device)
        loss, accuracy = _fit(model, data.train, recipe, seed, progress)
        model.cpu().to(memory_format=torch.contiguous_format).eval()
        if recipe.stored == "float16":
            model.half().float()
        test_accuracy = evaluate_accuracy(model, data.test)
    progress(1.0, f"Test accuracy {test_accuracy:.2%}")
    report = TrainingReport(
        architecture=architecture,
        dataset=data.name,
        dataset_key=data.key,
        dataset_folder=data.folder,
        label=f"{models[architecture].label} · {data.label}",
        classes=data.classes,
        image_shape=data.image_shape,
        recipe=recipe,
        seed=seed,
        threads=threads,
        loss=np.array(loss),
        accuracy=np.array(accuracy),
        test_accuracy=test_accuracy,
    )
    return model, report


def channel_statistics(images: ImageSet, *, limit: int = 10_000) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel in [0, 1], of at most ``limit`` evenly spaced images, to four digits."""
    chosen = np.linspace(0, len(images) - 1, min(limit, len(images))).astype(np.int64)
    pixels = images.pixels(chosen).astype(np.float64) / 255
    mean, std = pixels.mean(axis=(0, 2, 3)), pixels.std(axis=(0, 2, 3))
    # A constant channel has no spread; it is shifted only.
    return tuple(round(float(m), 4) for m in mean), tuple(round(float(s), 4) or 1.0 for s in std)


def evaluate_accuracy(model: nn.Module, images: ImageSet) -> float:
    """Share of images whose largest logit is their label's; the model is used in its present mode."""
    right = 0
    device = next(model.parameters()).device
    with torch.no_grad():
        for batch in np.array_split(np.arange(len(images)), -(-len(images) // EVALUATION_BATCH)):
            logits = model(images.images(batch).to(device))
            # NaN would win argmax; it is never a correct prediction.
            sound = torch.isfinite(logits).all(dim=1)
            labels = torch.as_tensor(images.labels[batch], device=device)
            right += int(((logits.argmax(dim=1) == labels) & sound).sum())
    return right / len(images)


def _complete(recipe: Recipe, epochs: int | None, lr: float | None, batch_size: int | None) -> Recipe:
    recipe = replace(
        recipe,
        epochs=recipe.epochs if epochs is None else epochs,
        lr=recipe.lr if lr is None else lr,
        batch_size=recipe.batch_size if batch_size is None else batch_size,
    )
    if not (recipe.epochs >= 1 and 0 < recipe.lr < float("inf") and recipe.batch_size >= 1):
        raise InvalidInputError(
            "expected epochs ≥ 1, a positive learning rate and batch_size ≥ 1; "
            f"got {recipe.epochs}, {recipe.lr} and {recipe.batch_size}."
        )
    return recipe


@contextmanager
def _reproducible(seed: int, threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)


def _fit(
    model: nn.Module, images: ImageSet, recipe: Recipe, seed: int, progress: Progress
) -> tuple[list[float], list[float]]:
    if recipe.precision == "bfloat16":  # twice as fast there on a CPU
        model.to(memory_format=torch.channels_last)
    per_epoch = -(-len(images) // recipe.batch_size)
    steps = per_epoch * recipe.epochs
    optimizer = _optimizer(model, recipe)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    order = torch.Generator().manual_seed(seed)
    changes = torch.Generator().manual_seed(seed + 1)  # one of its own: the order is that of a recipe without changes
    losses, accuracies = [], []
    for epoch in range(recipe.epochs):
        model.train()
        total_loss, right = 0.0, 0
        shuffled = torch.randperm(len(images), generator=order).numpy()
        for step in range(per_epoch):
            chosen = shuffled[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            labels = torch.as_tensor(images.labels[chosen])
            batch = augmented(images.images(chosen), recipe, changes)
            loss, hits = _step(model, optimizer, batch, labels, recipe.precision == "bfloat16")
            if not np.isfinite(loss):
                raise EngineError(
                    f"the loss became {loss} in epoch {epoch + 1}, batch {step + 1}; lower the learning rate."
                )
            schedule.step()
            total_loss += loss * len(chosen)
            right += hits
            message = f"Epoch {epoch + 1} of {recipe.epochs}, loss {loss:.4f}"
            progress(0.98 * (epoch * per_epoch + step + 1) / steps, message)
        losses.append(total_loss / len(images))
        accuracies.append(right / len(images))
    return losses, accuracies


def augmented(images: torch.Tensor, recipe: Recipe, generator: torch.Generator) -> torch.Tensor:
    """Images (N, C, H, W), each mirrored and shifted at random as far as the recipe says so."""
    if recipe.flips:
        mirrored = torch.rand(len(images), generator=generator) < 0.5
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    if recipe.crop_padding:
        height, width, border = images.shape[2], images.shape[3], recipe.crop_padding
        padded = nn.functional.pad(images, (border,) * 4)
        rows, columns = torch.randint(0, 2 * border + 1, (2, len(images), 1), generator=generator)
        y = (rows + torch.arange(height))[:, None, :, None]
        x = (columns + torch.arange(width))[:, None, None, :]
        channels = torch.arange(images.shape[1])[None, :, None, None]
        images = padded[torch.arange(len(images))[:, None, None, None], channels, y, x]
    return images


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: torch.Tensor,
    labels: torch.Tensor,
    is_bfloat16: bool,
) -> tuple[float, int]:
    """One optimisation step; gives the batch's mean loss and the number of images that were right before it."""
    device = next(model.parameters()).device
    images, labels = images.to(device), labels.to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=is_bfloat16):
        logits = model(images).float()
    loss = nn.functional.cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.item(), int((logits.argmax(dim=1) == labels).sum())


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(model.parameters(), recipe.lr, momentum=0.9, weight_decay=recipe.weight_decay, nesterov=True)
