"""What a hardening did, and the card by which its model is found and loaded again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from engine.hardening.curves import LearningCurves
from engine.hardening.settings import TrainingSettings
from engine.plain import plain
from engine.registry import Value


@dataclass(frozen=True, slots=True, eq=False)
class HardeningReport:
    """What hardening did.

    Attributes:
        parent: name of the classifier it began from.
        parent_key: hash of that one's weights and architecture.
        label: what a person reads ("LeNet-5 · MNIST · PAT").
        architecture, dataset, dataset_key: what was trained on what.
        dataset_folder: the folder of images, for a data set that is not in the catalogue; else "".
        classes, image_shape: the data set's.
        method: name in the catalogue.
        method_settings: its settings by name.
        training: the settings of the training.
        seed: of all random choices.
        threads: CPU threads used; another number gives slightly other weights.
        device: what it ran on.
        curves: of all epochs.
        frozen: names of the weighted layers that were not trained.
        units: by unit layer's name, the ids of its units that the loss looked at last; empty without such a loss.
        test_accuracy: share of the clean test images right at the end.
    """

    parent: str
    parent_key: str
    label: str
    architecture: str
    dataset: str
    dataset_key: str
    dataset_folder: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    method: str
    method_settings: Mapping[str, Value]
    training: TrainingSettings
    seed: int
    threads: int
    device: str
    curves: LearningCurves
    frozen: tuple[str, ...]
    units: Mapping[str, tuple[int, ...]]
    test_accuracy: float

    def card(self) -> dict[str, Any]:
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
            "parent": self.parent,
            "parent_key": self.parent_key,
            "method": self.method,
            "method_settings": dict(self.method_settings),
            "training": plain(asdict(self.training)),
            "frozen": list(self.frozen),
            "units": {name: list(units) for name, units in self.units.items()},
            "seed": self.seed,
            "threads": self.threads,
            "device": self.device,
            "epochs": self.curves.epochs,
            "curves": self.curves.last(),
            "train_loss": round(float(self.curves.total[-1]), 6),
            "train_accuracy": round(float(self.curves.accuracy[-1]), 6),
            "test_accuracy": round(self.test_accuracy, 6),
        }
