"""How class paths form while a network is trained (Qiu et al. 2018, appendix B.1 and figure 8)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.datasets.dataset import Dataset
from engine.errors import InvalidInputError
from engine.hardening.effects import off_diagonal
from engine.hardening.images import ChosenImages, evaluate_accuracy, fixed_subset
from engine.network.checkpoint import load_checkpoint
from engine.network.classifiers import Classifier
from engine.paths.class_paths import compute_class_paths
from engine.plain import plain
from engine.progress import Progress, silent, span
from engine.version import VERSION

#: Test images that the accuracy of a checkpoint is measured on, at most.
HELD_OUT = 1000
DIGITS = 9


@dataclass(frozen=True, slots=True, eq=False)
class Phase:
    """A network after one epoch.

    Attributes:
        epoch: counted from 1.
        accuracy: share of the held-out images right, 0 to 1.
        images: how many training images are right, which the class paths come from.
        density: of the union of all class paths, 0 to 1.
        density_per_layer: the same by layer.
        similarity: (P,) class similarity J of every pair of classes that both have a path.
    """

    epoch: int
    accuracy: float
    images: int
    density: float
    density_per_layer: Mapping[str, float]
    similarity: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingPhases:
    """A network over its training.

    Attributes:
        phases: in the order of the epochs.
        theta: share of each neuron's value that a path explains.
        n_images: how many training images were looked at after each epoch, always the same.
        held_out: how many test images the accuracy is measured on.
    """

    phases: tuple[Phase, ...]
    theta: float
    n_images: int
    held_out: int

    def report(self) -> dict[str, Any]:
        """Everything in plain values."""
        values: dict[str, Any] = plain(
            {
                "version": VERSION, "theta": self.theta, "images": self.n_images, "held_out": self.held_out,
                "phases": [
                    {
                        "epoch": phase.epoch, "accuracy": phase.accuracy, "images": phase.images,
                        "density": phase.density, "density_per_layer": phase.density_per_layer,
                        "similarity": phase.similarity,
                    }
                    for phase in self.phases
                ],
            },
            DIGITS,
        )  # fmt: skip
        return values


def training_phases(
    classifier: Classifier,
    data: Dataset,
    checkpoints: Mapping[int, Path],
    *,
    n_images: int = 300,
    theta: float = 0.5,
    held_out: int = HELD_OUT,
    progress: Progress = silent,
) -> TrainingPhases:
    """Takes the class paths of the same training images after every epoch of a run.

    The paper goes through stages of the training of a ResNet; here through the checkpoints that were kept.

    Args:
        classifier: of the architecture that was trained; left as it was.
        data: the data set it was trained on.
        checkpoints: by epoch, the file of its weights.
        n_images: training images a checkpoint; fewer if there are not so many.
        theta: of the paths.
        held_out: at most so many test images, the first ones.
        progress: may raise Cancelled.

    Raises:
        InvalidInputError: without checkpoints, or with weights that are NaN or infinite.
        CheckpointError: for a file that cannot be read or belongs to another architecture.
    """
    if not checkpoints:
        raise InvalidInputError("checkpoints: expected the weights of one epoch or more; got none.")
    module = copy.deepcopy(classifier.module)
    images = fixed_subset(data.train, min(n_images, len(data.train)))
    judged = ChosenImages(data.test, np.arange(min(held_out, len(data.test))))
    phases = []
    for number, (epoch, file) in enumerate(sorted(checkpoints.items())):
        broken = load_checkpoint(module, file).non_finite
        if broken:
            raise InvalidInputError(f"epoch {epoch}: expected finite weights; {broken[0]} holds NaN or infinity.")
        module.eval()
        part = span(progress, number / len(checkpoints), (number + 1) / len(checkpoints))
        accuracy = evaluate_accuracy(module, judged)
        part(0.1, f"epoch {epoch}")
        paths = compute_class_paths(module, images, data.classes, theta=theta, progress=span(part, 0.1, 1.0))
        overall = paths.overall()
        phases.append(
            Phase(
                epoch, accuracy, int(paths.counts.sum()), overall.density(), overall.density_per_layer(),
                off_diagonal(paths),
            )
        )  # fmt: skip
    return TrainingPhases(tuple(phases), theta, len(images), len(judged))
