"""What a hardening method is: settings, and the objective that they make for a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engine.attacks.logits import device_of
from engine.datasets.dataset import ImageSet
from engine.hardening.freezing import Frozen
from engine.progress import Progress
from engine.registry import Parameter, Value

Start = Literal["scratch", "parent"]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What an objective is made for.

    Attributes:
        model: the network as it is at the start, on its device; the objective is trained on this very object.
        images: the training images.
        start: "parent" where the weights are those of a trained model, "scratch" where they are random.
        seed: of every random choice of the objective.
        bfloat16: whether layers compute in it.
    """

    model: nn.Module
    images: ImageSet
    start: Start
    seed: int
    bfloat16: bool

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return device_of(self.model)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images."""
        channels, height, width = self.images.pixels(np.zeros(1, np.int64)).shape[1:]
        return (int(channels), int(height), int(width))


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """The loss of one batch.

    Attributes:
        logits: (N, K) float32, of the clean images.
        terms: by name, a scalar: the mean over the batch, not weighted.
        weights: by name, what the term counts in the total.
    """

    logits: Tensor
    terms: Mapping[str, Tensor]
    weights: Mapping[str, float]

    @property
    def total(self) -> Tensor:
        """What is minimised: the weighted sum of the terms."""
        parts = [self.weights[name] * term for name, term in self.terms.items()]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total


class Objective(ABC):
    """What one run minimises. It is made for one model, and used by one run.

    Attributes:
        job: what it was made for.
        frozen: what of the model does not train.
        generators: its sources of randomness, by name; whoever saves the run saves their states.
        units: by unit layer's name, the sorted ids of the units that the loss looks at now; empty without such a loss.
    """

    def __init__(self, job: Job) -> None:
        """Takes the job; expensive choices are left to :meth:`prepare`."""
        self.job = job
        self.frozen = Frozen()
        self.generators: dict[str, torch.Generator] = {}
        self.units: dict[str, npt.NDArray[np.int64]] = {}

    def prepare(self, progress: Progress, *, limit: int | None = None) -> None:  # noqa: B027, most choose nothing
        """Chooses what is chosen once, before the first epoch, on the model as it is then.

        Args:
            progress: may raise Cancelled.
            limit: look at no more images than so many; for an estimate of the time.
        """

    def preparation_images(self) -> int:
        """How many training images :meth:`prepare` attacks."""
        return 0

    def images_between_epochs(self) -> int:
        """How many training images :meth:`end_epoch` attacks."""
        return 0

    @abstractmethod
    def losses(self, images: Tensor, labels: Tensor, where: str, progress: Progress) -> Losses:
        """The loss terms of a batch; the model is in train mode, but for its frozen modules.

        Args:
            images: (N, C, H, W) float32 in [0, 1], on the model's device.
            labels: (N,) int64.
            where: the batch, for messages.
            progress: takes the finished fraction of the batch; may raise Cancelled.
        """

    def end_epoch(self, progress: Progress) -> None:  # noqa: B027, most choose nothing anew
        """Called after every epoch but the last."""

    def state(self) -> dict[str, Tensor]:
        """What :meth:`restore` needs beside the generators, as tensors by name."""
        return {f"units.{name}": torch.from_numpy(units) for name, units in self.units.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from the state of an earlier process, in place of :meth:`prepare`."""
        self.units = {name.removeprefix("units."): value.numpy() for name, value in state.items()}

    def forward(self, images: Tensor) -> Tensor:
        """The model's logits (N, K) float32, layers in the run's precision."""
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.job.bfloat16):
            logits: Tensor = self.job.model(images)
        return logits.float()


@dataclass(frozen=True)
class HardeningMethod(ABC):
    """One method with its settings; a subclass is a frozen dataclass with a field for each of its parameters.

    Attributes:
        name: identifier in the registry.
        parameters: type and range of each setting; constructing with a value outside raises InvalidInputError.
    """

    name: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]]

    def __post_init__(self) -> None:
        for parameter in self.parameters:
            # A frozen dataclass can only be completed this way.
            object.__setattr__(self, parameter.name, parameter.parse(getattr(self, parameter.name)))

    @property
    def settings(self) -> dict[str, Value]:
        """The settings by name."""
        return {parameter.name: getattr(self, parameter.name) for parameter in self.parameters}

    @abstractmethod
    def objective(self, job: Job) -> Objective:
        """What is minimised to harden the job's model.

        Raises:
            InvalidInputError: for a model, or a start, that the method cannot work with.
        """
