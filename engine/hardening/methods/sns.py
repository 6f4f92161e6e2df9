"""Sensitive Neuron Stabilizing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from engine.errors import InvalidInputError
from engine.hardening.capture import Taps
from engine.hardening.freezing import frozen_before
from engine.hardening.images import ChosenImages
from engine.hardening.methods.adversarial import (
    ATTACK_PARAMETERS,
    HALVES,
    AdversarialMethod,
    PairedObjective,
    halves,
)
from engine.hardening.methods.base import Job, Losses
from engine.hardening.selection import all_units, random_units, sensitive_units
from engine.network.trace import Network, trace
from engine.network.units import UnitLayer, unit_layers
from engine.progress import Progress
from engine.registry import Parameter

#: Images that "dyn" chooses the units from after each epoch (section V-C).
DYNAMIC_IMAGES = 200
UNITS = Parameter(
    "units", "Units", "choice", "sen", choices=("sen", "all", "rand", "dyn"),
    help="sen: the most sensitive of the model at the start; all; rand: as many random ones; dyn: chosen every epoch.",
)  # fmt: skip
LOSS = Parameter(
    "loss", "Loss it is added to", "choice", "adversarial", choices=("adversarial", "plain"),
    help="adversarial: clean and attacked images in equal parts, as in PAT; plain: clean images alone.",
)  # fmt: skip
STABILITY = Parameter(
    "stability", "Weight of the stability λ", "float", 5.0, low=0.0, high=1000.0,
    help="What the change of the chosen units under attack counts in the loss.",
)  # fmt: skip
SHARE = Parameter(
    "share", "Share of units", "float", 0.1, low=1e-6, high=1.0, unit="of a layer's units",
    help="How many of each layer's units are chosen, rounded up; not used for all.",
)  # fmt: skip
FIRST_LAYER = Parameter(
    "first_layer", "First convolution", "int", 0, low=0, high=10_000,
    help="Number of the first convolution whose units are held still, counted from 1; 0: the last 6/13 of them.",
)  # fmt: skip
FREEZE = Parameter(
    "freeze", "Freeze what is before", "bool", True,
    help="Keep everything before that convolution as it is, its running statistics too.",
)  # fmt: skip
SELECTION_IMAGES = Parameter(
    "selection_images", "Images to choose from", "int", 5000, low=1, high=10_000_000, unit="images",
    help="Training images that are attacked once to find the sensitive units; used for sen and dyn.",
)  # fmt: skip


@dataclass(frozen=True)
class SNS(AdversarialMethod):
    """Fine-tuning that holds the outputs of sensitive units still under attack (Zhang et al. 2020, section V-C).

    L = L_adv + λ·Σ_l Σ_m ‖F_l^m(x) − F_l^m(x')‖₁ / dim(F_l^m), equations 12 and 13; outputs before the activation.
    By default the convolutions from number ⌊7n/13⌋ + 1 of n on, which are conv8 to conv13 of VGG-16; what is before
    them is frozen. The paper chooses the units from all training images; here from ``selection_images`` of them.
    """

    units: str = "sen"
    loss: str = "adversarial"
    stability: float = 5.0
    share: float = 0.1
    first_layer: int = 0
    freeze: bool = True
    selection_images: int = 5000

    name: ClassVar[str] = "sns"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        UNITS, LOSS, STABILITY, SHARE, FIRST_LAYER, FREEZE, SELECTION_IMAGES, *ATTACK_PARAMETERS,
    )  # fmt: skip

    def objective(self, job: Job) -> Stabilised:
        """The loss with the stability term; refuses a start from random weights where that makes no sense."""
        if job.start == "scratch" and (self.freeze or self.units == "sen"):
            raise InvalidInputError(
                "expected a start from the parent's weights: layers cannot be frozen, nor sensitive units be known, in "
                "a network of random weights. Start from the parent, or choose freeze=false and units all, rand or dyn."
            )
        return Stabilised(job, self)


class Stabilised(PairedObjective):
    """PAT's loss, or the cross entropy alone, + λ times the mean change of the chosen units under attack."""

    def __init__(self, job: Job, method: SNS) -> None:
        """Finds the layers; the units are chosen by :meth:`prepare`."""
        super().__init__(job, method.attack())
        self._method = method
        network = trace(job.model, job.image_shape)
        self._layers = stabilised_layers(network, method.first_layer)
        if method.freeze:
            self.frozen = frozen_before(network, self._layers[0])
        self._taps = Taps(network, self._layers)
        base = HALVES if method.loss == "adversarial" else {"clean": 1.0}
        self._weights = {**base, "stability": method.stability}
        if method.units == "dyn":
            self.generators["choice"] = torch.Generator().manual_seed((job.seed + 3) % 2**63)

    def prepare(self, progress: Progress, *, limit: int | None = None) -> None:
        """Chooses the units, once."""
        method, seed = self._method, self.job.seed
        if method.units == "all":
            self.units = all_units(self._layers)
        elif method.units == "rand":
            self.units = random_units(self._layers, method.share, seed)
        else:
            count = method.selection_images if limit is None else min(limit, method.selection_images)
            self.units = sensitive_units(
                self.job.model, self.job.images, self.attack, self._layers, share=method.share, n_images=count,
                seed=seed, progress=progress,
            )  # fmt: skip

    def preparation_images(self) -> int:
        """Those that the sensitive units are chosen from."""
        chosen_by_sensitivity = self._method.units in ("sen", "dyn")
        return min(self._method.selection_images, len(self.job.images)) if chosen_by_sensitivity else 0

    def images_between_epochs(self) -> int:
        """Those that "dyn" chooses from."""
        return min(DYNAMIC_IMAGES, len(self.job.images)) if self._method.units == "dyn" else 0

    def losses(self, images: Tensor, labels: Tensor, where: str, progress: Progress) -> Losses:
        """The terms ``clean``, ``adversarial`` (of the adversarial loss) and ``stability``."""
        attacked = self.attacked(images, labels, where, progress)
        with self._taps.recording() as outputs:
            clean, adversarial = self.paired_logits(images, attacked)
        terms = {name: term for name, term in halves(clean, adversarial, labels).items() if name in self._weights}
        return Losses(clean, terms | {"stability": self._stability(outputs)}, self._weights)

    def end_epoch(self, progress: Progress) -> None:
        """Chooses the units anew from 200 random training images, for "dyn"."""
        if self._method.units == "dyn":
            count = self.images_between_epochs()
            drawn = torch.randperm(len(self.job.images), generator=self.generators["choice"])[:count]
            self.units = sensitive_units(
                self.job.model, ChosenImages(self.job.images, drawn.numpy()), self.attack, self._layers,
                share=self._method.share, n_images=count, seed=self.job.seed, progress=progress,
            )  # fmt: skip

    def _stability(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Σ over layers and chosen units of ‖F(x) − F(x')‖₁ / dim(F), mean over the batch."""
        parts = []
        for layer in self._layers:
            output = outputs[layer.name]
            units = torch.from_numpy(self.units[layer.name]).to(output.device)
            clean, adversarial = output.index_select(1, units).float().chunk(2)
            parts.append((clean - adversarial).abs().flatten(2).mean(dim=2).sum(dim=1).mean())
        return torch.stack(parts).sum()


def stabilised_layers(network: Network, first: int) -> tuple[UnitLayer, ...]:
    """The convolutions from a number on, counted from 1; 0 takes the last 6/13 of them, as conv8 to conv13 of 13.

    Raises:
        InvalidInputError: for a number that the model does not have, or a model without convolutions.
    """
    layers = unit_layers(network, convolutions=True)
    if first > len(layers):
        raise InvalidInputError(f"first_layer: expected at most {len(layers)}, the model's convolutions; got {first}.")
    begin = first - 1 if first else 7 * len(layers) // 13
    return layers[begin:]
