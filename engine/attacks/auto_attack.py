"""AutoAttack: the yardstick, by its authors' own code, which is an optional extra."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from engine.attacks.base import Attack
from engine.attacks.inputs import Inputs
from engine.attacks.logits import Logits
from engine.errors import EngineError, InvalidInputError
from engine.progress import Progress
from engine.registry import Parameter, Value

PACKAGE = "pyautoattack"

#: The four attacks of the standard version try up to so many target classes each.
MOST_TARGETS = 9

AUTO_ATTACK_PRESETS: dict[str, dict[str, Value]] = {
    "mnist": {"norm": "linf", "epsilon": 0.3},
    "cifar10": {"norm": "linf", "epsilon": 8 / 255},
    "cifar10_l2": {"norm": "l2", "epsilon": 0.5},
}


def is_installed() -> bool:
    """Whether the package is there; it is not imported for that."""
    return importlib.util.find_spec(PACKAGE) is not None


@dataclass(frozen=True)
class AutoAttack(Attack):
    """Croce & Hein 2020, standard version: APGD-CE, targeted APGD-DLR, targeted FAB and Square, one after another.

    Each is run on the images that the ones before have not broken; what no attack breaks stays as it was. With K < 10
    classes the targeted attacks try K − 1 instead of 9. The random numbers are the package's own, seeded from the given
    seed once a batch, so that they depend on how the images are split into batches.
    """

    name: ClassVar[str] = "auto_attack"
    targetable: ClassVar[bool] = False
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "epsilon",
            "Strength ε",
            "float",
            8 / 255,
            low=1e-6,
            high=20.0,
            help="Largest change: of any pixel value for L∞, where black is 0 and white is 1; Euclidean for L2.",
        ),
        Parameter("norm", "Norm", "choice", "linf", choices=("linf", "l2"), help="How the change is measured."),
    )

    epsilon: float = 8 / 255
    norm: Literal["linf", "l2"] = "linf"

    def perturb(
        self,
        model: Logits,
        images: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        generator: torch.Generator,
        progress: Progress,
    ) -> Tensor:
        """The attacked copies; the original where every attack fails."""
        progress(0.0, "starting")
        classes = model(images[:1]).shape[1]
        if classes < 4:
            raise InvalidInputError(f"AutoAttack's targeted loss compares four classes; the model has {classes}.")
        asking = _Asking(model, progress)
        seed = int(torch.randint(2**31, (), generator=generator))
        with _contained(model.module, images.device):
            suite = _package().AutoAttack(
                asking, norm={"linf": "Linf", "l2": "L2"}[self.norm], eps=self.epsilon, seed=seed, device=images.device
            )
            suite.apgd_targeted.n_target_classes = min(MOST_TARGETS, classes - 1)
            suite.fab.n_target_classes = min(MOST_TARGETS, classes - 1)
            attacked, _ = suite.run_standard_evaluation(images.clone(), labels.clone(), batch_size=len(images))
        result: Tensor = attacked.detach()
        return result

    def perturb_batch(
        self, model: Logits, batch: Inputs, scored: Tensor, generator: torch.Generator, progress: Progress
    ) -> tuple[Tensor, Tensor]:
        """The attacked copies of the scored images, all of radius ε."""
        attacked, rows = batch.images.clone(), scored.nonzero().squeeze(1)
        if len(rows):
            chosen = batch.chosen(rows)
            attacked[rows] = self.perturb(model, chosen.images, chosen.labels, None, generator, progress)
        return attacked, torch.full((len(attacked),), self.epsilon, dtype=torch.float64)


class _Asking:
    """The model as the package sees it; every pass is reported, so that it can be cancelled."""

    def __init__(self, model: Logits, progress: Progress) -> None:
        self._model = model
        self._progress = progress
        self._asked = 0

    def __call__(self, images: Tensor) -> Tensor:
        self._asked += 1
        # How many passes there will be is not known beforehand: a fraction that approaches 1 and never reaches it.
        self._progress(self._asked / (self._asked + 2000), f"{self._asked} passes through the model")
        return self._model(images)


@contextmanager
def _contained(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Keeps to itself what the package does to the process and to the model.

    It seeds torch's global generators and drops a trace function; FAB calls backward(), which would write gradients
    into the parameters that require them.
    """
    trace = sys.gettrace()
    needed = [parameter for parameter in module.parameters() if parameter.requires_grad]
    try:
        for parameter in needed:
            parameter.requires_grad_(False)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        for parameter in needed:
            parameter.requires_grad_(True)
        sys.settrace(trace)


def _package() -> Any:
    try:
        return importlib.import_module(PACKAGE)
    except ImportError as error:
        raise EngineError(
            f"AutoAttack needs the optional package {PACKAGE}, which cannot be imported ({error}). "
            f"Run: pip install {PACKAGE}==0.2.0"
        ) from error
