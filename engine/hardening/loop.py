"""The one loop behind all training: it minimises an objective, keeps checkpoints, and resumes from them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.datasets.dataset import ImageSet
from engine.hardening import snapshot
from engine.hardening.augmentation import augmented
from engine.hardening.curves import EpochFigures, LearningCurves
from engine.hardening.failures import explained, require_finite_loss, require_finite_weights
from engine.hardening.freezing import freezing, training_mode
from engine.hardening.methods.base import Objective
from engine.hardening.monitor import HeldOut
from engine.hardening.optimisation import optimizer_of, schedule_of
from engine.hardening.pace import Pace
from engine.hardening.recipes import Recipe
from engine.hardening.state import RunFolder, TrainingState
from engine.progress import Progress, silent, span

OnEpoch = Callable[[LearningCurves], None]
#: Shares of the progress: what an objective with something to choose takes before the first epoch, and all epochs' end.
PREPARED = 0.1
TRAINED = 0.98
ATTACK = "attack on the batch"


@dataclass(frozen=True, slots=True)
class StepFigures:
    """What came of one batch: the loss terms and their weighted sum before the step, and how many images were right."""

    terms: dict[str, float]
    weights: dict[str, float]
    total: float
    right: int


@dataclass(slots=True)
class _Sums:
    """Sums over the images of an epoch."""

    terms: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    total: float = 0.0
    right: int = 0

    def add(self, found: StepFigures, images: int) -> None:
        for name, value in found.terms.items():
            self.terms[name] = self.terms.get(name, 0.0) + value * images
        self.weights = found.weights
        self.total += found.total * images
        self.right += found.right


class Loop:
    """One run over training images. Call it inside :func:`engine.hardening.reproducibility.reproducible`.

    Attributes:
        model: what is trained, on its device.
        curves: of the epochs finished so far.
    """

    def __init__(
        self,
        model: nn.Module,
        images: ImageSet,
        recipe: Recipe,
        objective: Objective,
        *,
        seed: int,
        held_out: HeldOut | None = None,
        folder: RunFolder | None = None,
    ) -> None:
        """Prepares a run.

        Args:
            model: the objective's; it is changed.
            images: the training images.
            recipe: of the training.
            objective: made for this model.
            seed: of the images' order and changes.
            held_out: what accuracy is measured on after every epoch; None measures none.
            folder: where checkpoints are kept and the run goes on from; None keeps nothing.
        """
        if recipe.precision == "bfloat16":  # twice as fast there on a CPU
            model.to(memory_format=torch.channels_last)
        self.model, self._images, self._recipe, self._objective = model, images, recipe, objective
        self._held_out, self._folder = held_out, folder
        self._device = next(model.parameters()).device
        self.batches = -(-len(images) // recipe.batch_size)
        frozen = set(objective.frozen.parameters)
        self._optimizer = optimizer_of((p for name, p in model.named_parameters() if name not in frozen), recipe)
        self._schedule = schedule_of(self._optimizer, recipe, self.batches * recipe.epochs)
        order = torch.Generator().manual_seed(seed)
        # One of its own: the order is that of a recipe without changes.
        changes = torch.Generator().manual_seed((seed + 1) % 2**63)
        self._order, self._changes = order, changes
        self._generators = {"order": order, "changes": changes} | {
            f"objective.{name}": generator for name, generator in objective.generators.items()
        }
        self.curves = LearningCurves(
            held_out=0 if held_out is None else held_out.count, epsilon=0.0 if held_out is None else held_out.epsilon
        )
        self._place = "preparation"

    def run(self, progress: Progress = silent, on_epoch: OnEpoch | None = None) -> LearningCurves:
        """Trains all epochs that are not finished yet.

        Args:
            progress: may raise Cancelled; the checkpoint of the last finished epoch stays in the folder.
            on_epoch: is given the curves after every epoch, and at once where the run goes on from a checkpoint.

        Raises:
            EngineError: if a loss or a weight becomes NaN or infinite, or memory runs out; names the epoch, the batch
                and the last good checkpoint.
        """
        with freezing(self.model, self._objective.frozen), explained(lambda: self._place, self._kept):
            pace = self._begin(progress)
            if on_epoch is not None and self.curves.epochs:
                on_epoch(self.curves)
            for epoch in range(self.curves.epochs, self._recipe.epochs):
                self._epoch(epoch, pace)
                if on_epoch is not None:
                    on_epoch(self.curves)
        return self.curves

    def step(self, rows: npt.NDArray[np.int64], progress: Progress = silent) -> StepFigures:
        """One step on the training images at ``rows``; the model is in train mode.

        Raises:
            EngineError: if the loss, or a weight after the step, is not finite.
        """
        labels = torch.as_tensor(self._images.labels[rows]).to(self._device)
        images = augmented(self._images.images(rows), self._recipe, self._changes).to(self._device)
        losses = self._objective.losses(images, labels, ATTACK, progress)
        total = losses.total
        terms = {name: term.item() for name, term in losses.terms.items()}
        require_finite_loss(terms, total.item())
        self._optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        if self._recipe.clip_norm:
            trained = [parameter for group in self._optimizer.param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(trained, self._recipe.clip_norm)
        self._optimizer.step()
        require_finite_weights(self.model)
        right = int((losses.logits.argmax(dim=1) == labels).sum())
        return StepFigures(terms, dict(losses.weights), total.item(), right)

    def _begin(self, progress: Progress) -> Pace:
        """Goes on from a checkpoint, or lets the objective choose what it chooses once."""
        chooses = self._objective.preparation_images() > 0
        prepared = PREPARED if chooses else 0.0
        state = None if self._folder is None else self._folder.load()
        if state is not None:
            self._restore(state)
        else:
            self._objective.prepare(span(progress, 0.0, prepared))
        steps = self.batches * self._recipe.epochs
        return Pace(span(progress, prepared, TRAINED), steps, self.curves.epochs * self.batches)

    def _epoch(self, epoch: int, pace: Pace) -> None:
        begin, name = time.perf_counter(), f"Epoch {epoch + 1} of {self._recipe.epochs}"
        training_mode(self.model, self._objective.frozen)
        shuffled = torch.randperm(len(self._images), generator=self._order).numpy()
        rate = float(self._optimizer.param_groups[0]["lr"])
        sums, size = _Sums(), self._recipe.batch_size
        for batch in range(self.batches):
            self._place = f"epoch {epoch + 1}, batch {batch + 1}"
            chosen = shuffled[batch * size : (batch + 1) * size]
            found = self.step(chosen, pace.within(f"{name}, batch {batch + 1} of {self.batches}"))
            self._schedule.step()
            sums.add(found, len(chosen))
            pace.done(f"{name}, batch {batch + 1} of {self.batches}", found.total, found.terms)
        self._finish(epoch, pace.within(name, counts=False), sums, rate, begin)

    def _finish(self, epoch: int, progress: Progress, sums: _Sums, rate: float, begin: float) -> None:
        """What follows the last batch of an epoch: measuring, choosing anew, and the checkpoint."""
        self._place = f"epoch {epoch + 1}, after batch {self.batches}"
        require_finite_weights(self.model, buffers=True)
        clean = robust = float("nan")
        if self._held_out is not None:
            accuracy = self._held_out.measure(
                self.model, bfloat16=self._recipe.precision == "bfloat16", where="held-out images", progress=progress
            )
            clean, robust = accuracy.clean, accuracy.robust
        if epoch + 1 < self._recipe.epochs:
            self._objective.end_epoch(progress)
        count = len(self._images)
        terms = {name: value / count for name, value in sums.terms.items()}
        figures = EpochFigures(
            terms, sums.total / count, sums.right / count, clean, robust, rate, time.perf_counter() - begin
        )
        self.curves = self.curves.extended(sums.weights, figures)
        if self._folder is not None:
            self._folder.save(self._state())

    def _state(self) -> TrainingState:
        parts = {
            "optimizer": snapshot.optimizer_tensors(self._optimizer),
            "random": snapshot.random_states(self._generators, self._device),
            "objective": self._objective.state(),
        }
        return TrainingState(
            self.curves.epochs,
            self.model.state_dict(),
            {f"{part}.{name}": value for part, tensors in parts.items() for name, value in tensors.items()},
            {
                "optimizer": snapshot.optimizer_values(self._optimizer),
                "schedule": self._schedule.state_dict(),
                "curves": self.curves.report(),
            },
        )

    def _restore(self, state: TrainingState) -> None:
        self.model.load_state_dict(dict(state.weights))
        tensors = {part: snapshot.part(state.tensors, part) for part in ("optimizer", "random", "objective")}
        snapshot.restore_optimizer(self._optimizer, tensors["optimizer"], state.plain["optimizer"])
        snapshot.restore_schedule(self._schedule, state.plain["schedule"])
        snapshot.restore_random_states(tensors["random"], self._generators, self._device)
        self._objective.restore(tensors["objective"])
        self.curves = LearningCurves.from_report(state.plain["curves"])

    def _kept(self) -> str:
        if self._folder is None:
            return "No checkpoints were kept."
        last = self._folder.last_checkpoint
        return "There is no checkpoint yet." if last is None else f"The last good checkpoint is {last}."
