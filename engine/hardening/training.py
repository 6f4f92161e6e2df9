"""Plain ("vanilla") training of a classifier, reproducible from its seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.datasets.catalogue import load_dataset
from engine.datasets.dataset import Dataset
from engine.hardening.curves import LearningCurves
from engine.hardening.images import channel_statistics, evaluate_accuracy
from engine.hardening.loop import Loop, OnEpoch
from engine.hardening.methods.base import Job
from engine.hardening.methods.vanilla import Vanilla
from engine.hardening.monitor import HeldOut
from engine.hardening.recipes import Recipe, recipe_for
from engine.hardening.reproducibility import reproducible
from engine.hardening.settings import WATCHED, preset_name
from engine.hardening.state import RunFolder, run_folder
from engine.network.catalogue import build_model, models
from engine.progress import Progress, silent
from engine.version import VERSION


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
        curves: all that was measured epoch by epoch.
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
    curves: LearningCurves = field(default_factory=LearningCurves)

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
    folder: Path | None = None,
    keep_epochs: bool = True,
    held_out: int = 0,
    progress: Progress = silent,
    on_epoch: OnEpoch | None = None,
) -> tuple[nn.Module, TrainingReport]:
    """Trains an architecture of the catalogue on a data set, without attacks.

    Settings that are not given come from :mod:`engine.hardening.recipes`. The same seed and number of threads give
    the same weights bit for bit on one machine's CPU, also when the run was stopped in between and resumed; the global
    random state and thread count are left as they were.

    Args:
        architecture: of the catalogue.
        dataset: its name, or the data set.
        epochs, lr, batch_size: in place of the recipe's.
        seed: of the first weights and of the order and changes of the images.
        threads: of the CPU.
        device: "cpu" or "cuda".
        folder: where every epoch is kept, and where a stopped run of the same settings goes on; None keeps nothing.
        keep_epochs: whether the weights of all epochs stay there, or those of the last alone.
        held_out: test images that accuracy is measured on after every epoch; 0 measures none.
        progress: may raise Cancelled.
        on_epoch: is given the learning curves after every epoch.

    Returns:
        the model in eval mode on the CPU, normalisation inside, and the report.

    Raises:
        InvalidInputError: for a setting out of range, or a folder that belongs to another run.
        EngineError: if a loss or weight stops being finite, or memory runs out; names the batch.
    """
    data = load_dataset(dataset, progress=silent) if isinstance(dataset, str) else dataset
    recipe = _complete(recipe_for(architecture, data.name), epochs, lr, batch_size)
    about = _about(architecture, data, recipe, seed=seed, threads=threads, device=device, held_out=held_out)
    with run_folder(folder, about, keep_epochs=keep_epochs) as run, reproducible(seed, threads):
        loop = _loop(architecture, data, recipe, seed, device, held_out, run)
        curves = loop.run(progress, on_epoch)
        finished(loop.model, recipe)
        test_accuracy = evaluate_accuracy(loop.model, data.test)
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
        loss=curves.total,
        accuracy=curves.accuracy,
        test_accuracy=test_accuracy,
        curves=curves,
    )
    return loop.model, report


def finished(model: nn.Module, recipe: Recipe) -> None:
    """Leaves a trained model on the CPU, in eval mode, its weights rounded if the recipe says so."""
    model.cpu().to(memory_format=torch.contiguous_format).eval()
    if recipe.stored == "float16":
        model.half().float()


def _complete(recipe: Recipe, epochs: int | None, lr: float | None, batch_size: int | None) -> Recipe:
    recipe = replace(
        recipe,
        epochs=recipe.epochs if epochs is None else epochs,
        lr=recipe.lr if lr is None else lr,
        batch_size=recipe.batch_size if batch_size is None else batch_size,
    )
    recipe.require_sound()
    return recipe


def _loop(
    architecture: str, data: Dataset, recipe: Recipe, seed: int, device: str, held_out: int, folder: RunFolder | None
) -> Loop:
    """A run of plain training over a new model."""
    mean, std = channel_statistics(data.train)
    model = build_model(architecture, len(data.classes), data.image_shape, mean=mean, std=std).to(device)
    objective = Vanilla().objective(Job(model, data.train, "scratch", seed, recipe.precision == "bfloat16"))
    watched = HeldOut(data.test, min(held_out, len(data.test)), WATCHED[preset_name(data)], seed) if held_out else None
    return Loop(model, data.train, recipe, objective, seed=seed, held_out=watched, folder=folder)


def _about(architecture: str, data: Dataset, recipe: Recipe, **further: Any) -> Mapping[str, Any]:
    """What determines a run."""
    return {
        "version": VERSION, "architecture": architecture, "dataset": data.name, "dataset_key": data.key,
        "method": "vanilla", "training": asdict(recipe), **further,
    }  # fmt: skip
