"""The base of all attacks: it validates, runs, clips and judges, so that an attack implements one method."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from engine.attacks.inputs import Classes, Images, Inputs, checked_inputs, checked_seed
from engine.attacks.logits import Logits, device_of, succeeded
from engine.errors import InvalidInputError
from engine.network.state import evaluating
from engine.progress import Progress, silent
from engine.registry import Parameter, Value

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

#: Memory grows with the batch: at most this many images, and at most this many image elements, are attacked at once.
MAX_BATCH_IMAGES = 256
MAX_BATCH_ELEMENTS = 2_000_000


@dataclass(frozen=True, slots=True, eq=False)
class AttackResult:
    """What an attack did to N images.

    Attributes:
        adversarial: (N, C, H, W) float32 in [0, 1].
        success: (N,) scored, and the prediction is now not the label (untargeted) or the target (targeted).
        scored: (N,) the clean prediction was right (and the target is another class than the label).
        predictions_before, predictions_after: (N,) classes.
        l0, l2, linf: (N,) size of the change: changed elements of C·H·W (count), Euclidean length, largest element.
        survives_rounding: (N,) still a success after rounding to 8 bits, which is what a saved PNG holds.
        epsilon: (N,) radius used; NaN for an attack without one, and where a search found none that works.
        attack: name of the attack.
        settings: its settings by name.
        seed: the seed of its random choices.
    """

    adversarial: npt.NDArray[np.float32]
    success: Flags
    scored: Flags
    predictions_before: Integers
    predictions_after: Integers
    l0: Floats
    l2: Floats
    linf: Floats
    survives_rounding: Flags
    epsilon: Floats
    attack: str
    settings: Mapping[str, Value]
    seed: int

    @property
    def success_rate(self) -> float:
        """Successes among the scored images, in [0, 1]; NaN if none was scored."""
        return float(self.success.sum() / self.scored.sum()) if self.scored.any() else math.nan


@dataclass(frozen=True)
class Attack(ABC):
    """One attack with its settings; a subclass is a frozen dataclass with a field for each of its parameters.

    Attributes:
        name: identifier in the registry.
        parameters: type and range of each setting; constructing with a value outside raises InvalidInputError.
        targetable: whether the method has a targeted form; without one, a call with targets raises InvalidInputError.
        learning_share: how much of the progress :meth:`fitted` takes, from 0 to 1.
    """

    name: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]]
    targetable: ClassVar[bool] = True
    learning_share: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        for parameter in self.parameters:
            # A frozen dataclass can only be completed this way.
            object.__setattr__(self, parameter.name, parameter.parse(getattr(self, parameter.name)))

    @property
    def settings(self) -> dict[str, Value]:
        """The settings by name."""
        return {parameter.name: getattr(self, parameter.name) for parameter in self.parameters}

    @final
    def __call__(
        self,
        model: nn.Module,
        images: Images,
        labels: Classes,
        *,
        targets: Classes | None = None,
        seed: int = 0,
        progress: Progress = silent,
    ) -> AttackResult:
        """Attacks the images.

        The model runs in eval mode; its modes, weights, gradients and hooks are afterwards what they were, also when
        this raises.

        Args:
            model: maps (N, C, H, W) in [0, 1] to logits (N, K); normalisation is part of it.
            images: (N, C, H, W) float in [0, 1].
            labels: (N,) true classes.
            targets: (N,) classes to reach; None to reach any but the label.
            seed: the same seed gives the same result on one machine.
            progress: called per batch and step; may raise Cancelled, which comes through.

        Raises:
            InvalidInputError: for inputs out of range or of the wrong form.
            EngineError: if the model answers with NaN or infinity; names the batch.
        """
        if not isinstance(model, nn.Module):
            raise InvalidInputError(f"model: expected a torch.nn.Module; got {type(model).__name__}.")
        if targets is not None and not self.targetable:
            raise InvalidInputError(f"targets: expected none, {self.name} has no targeted form. Leave the targets out.")
        inputs = checked_inputs(images, labels, targets)
        generator = torch.Generator().manual_seed(checked_seed(seed))
        progress(0.0, f"{self.name}: start")
        with torch.inference_mode(False), torch.no_grad(), evaluating(model):
            parts = self._attack_batches(model, inputs, generator, progress, int(seed))
        progress(1.0, f"{self.name}: done")
        return _joined(parts)

    def fitted(self, model: nn.Module, inputs: Inputs, generator: torch.Generator, progress: Progress) -> Attack:
        """The attack that the batches run: this one, unless the method first learns something from all images.

        Args:
            model: in eval mode; gradients are off.
            inputs: all images, labels and targets, on the CPU.
            generator: CPU generator, used by the batches afterwards.
            progress: takes the finished fraction of the learning.
        """
        return self

    @abstractmethod
    def perturb(
        self,
        model: Logits,
        images: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        generator: torch.Generator,
        progress: Progress,
    ) -> Tensor:
        """The attacked copies (N, C, H, W) of one batch; clipped to [0, 1] and judged by the caller.

        Called with gradients off; ``images`` must not be changed.

        Args:
            model: checked logits of the model, in eval mode.
            images: (N, C, H, W) float32 in [0, 1], on the model's device.
            labels: (N,) true classes.
            targets: (N,) classes to reach, or None.
            generator: CPU generator, the only source of randomness.
            progress: takes the finished fraction of this batch.
        """

    def perturb_batch(
        self, model: Logits, batch: Inputs, scored: Tensor, generator: torch.Generator, progress: Progress
    ) -> tuple[Tensor, Tensor]:
        """The attacked copies and the radius (N,) of each; an attack that has a radius overrides this.

        ``scored`` (N,) says which images count; the others may be left as they are.
        """
        attacked = self.perturb(model, batch.images, batch.labels, batch.targets, generator, progress)
        return attacked, torch.full((len(attacked),), math.nan, dtype=torch.float64)

    def _attack_batches(
        self, model: nn.Module, inputs: Inputs, generator: torch.Generator, progress: Progress, seed: int
    ) -> list[AttackResult]:
        device, batches, parts = device_of(model), batches_of(inputs.images), []
        first = logits_of_batch(model, 0, batches[0]).require_fit(inputs.images[:1].to(device))
        inputs.require_classes(first.shape[1])
        attack = self.fitted(model, inputs, generator, _learning(progress, self.learning_share, self.name))
        for index, rows in enumerate(batches):
            report = _within(progress, self.learning_share, index, len(batches), self.name)
            report(0.0, "start")
            logits = logits_of_batch(model, index, rows)
            parts.append(attack._attack_batch(logits, inputs.part(rows, device), generator, report, seed))
        return parts

    def _attack_batch(
        self, model: Logits, batch: Inputs, generator: torch.Generator, progress: Progress, seed: int
    ) -> AttackResult:
        before = model.predict(batch.images)
        scored = before == batch.labels
        if batch.targets is not None:
            scored &= batch.targets != batch.labels
        attacked, epsilon = self.perturb_batch(model, batch, scored, generator, progress)
        model.require_finite(attacked, "attacked images")
        attacked = attacked.detach().clamp(0.0, 1.0)
        after = model.predict(attacked)
        success = scored & succeeded(after, batch.labels, batch.targets)
        rounded = model.predict((attacked * 255).round() / 255)
        change = (attacked.double() - batch.images.double()).flatten(1)
        return AttackResult(
            adversarial=attacked.cpu().numpy(),
            success=success.cpu().numpy(),
            scored=scored.cpu().numpy(),
            predictions_before=before.cpu().numpy(),
            predictions_after=after.cpu().numpy(),
            l0=(change != 0).sum(dim=1).double().cpu().numpy(),
            l2=torch.linalg.vector_norm(change, dim=1).cpu().numpy(),
            linf=change.abs().amax(dim=1).cpu().numpy(),
            survives_rounding=(success & succeeded(rounded, batch.labels, batch.targets)).cpu().numpy(),
            epsilon=epsilon.cpu().numpy(),
            attack=self.name,
            settings=self.settings,
            seed=seed,
        )


def batches_of(images: Tensor) -> list[slice]:
    """Which images (N, C, H, W) are attacked together."""
    size = max(1, min(MAX_BATCH_IMAGES, MAX_BATCH_ELEMENTS // images[0].numel()))
    return [slice(first, min(first + size, len(images))) for first in range(0, len(images), size)]


def logits_of_batch(model: nn.Module, index: int, rows: slice) -> Logits:
    """The model's logits, whose errors name the batch."""
    return Logits(model, f"batch index {index} (images {rows.start} to {rows.stop - 1})")


def _learning(progress: Progress, share: float, name: str) -> Progress:
    def report(fraction: float, message: str) -> None:
        progress(share * min(max(fraction, 0.0), 1.0), f"{name}: {message}")

    return report


def _within(progress: Progress, learnt: float, index: int, count: int, name: str) -> Progress:
    def report(fraction: float, message: str) -> None:
        done = (index + min(max(fraction, 0.0), 1.0)) / count
        progress(learnt + (1 - learnt) * done, f"{name}: batch {index + 1} of {count}, {message}")

    return report


def _joined(parts: Sequence[AttackResult]) -> AttackResult:
    first = parts[0]
    arrays = [field.name for field in fields(first) if isinstance(getattr(first, field.name), np.ndarray)]
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays}
    return AttackResult(**joined, attack=first.attack, settings=first.settings, seed=first.seed)
