"""Carlini & Wagner's L2 attack."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from engine.attacks.adam import Adam
from engine.attacks.base import Attack
from engine.attacks.gradients import gradient_of, margin
from engine.attacks.inputs import Inputs
from engine.attacks.logits import LEAD, Logits, succeeded
from engine.progress import Progress
from engine.registry import Parameter, Value

#: Keeps atanh finite: black and white map to ∓FARTHEST.
SHRINK = 0.999999
FARTHEST = math.atanh(SHRINK)
#: Over fewer steps of Adam the loss may rise while it still falls on the whole.
STEADY = 100

#: Qiu et al. 2018 and 2019: the paper's setting.
CARLINI_WAGNER_PRESETS: dict[str, dict[str, Value]] = {
    "authors": {"steps": 10_000, "search_steps": 9, "learning_rate": 0.01, "initial_c": 0.001}
}


@dataclass(frozen=True)
class CarliniWagnerL2(Attack):
    """Carlini & Wagner 2017, section VI-A: min ‖x' − x‖² + c·f(x') with x' = (tanh(w) + 1)/2.

    f is f_6 on the logits, max(max_{j≠t} z_j − z_t, −κ), or untargeted max(z_y − max_{j≠y} z_j, −κ). For each image, c
    is multiplied by 10 until the attack works and then bisected; each c gets its own Adam from the image itself. Kept
    is the smallest change that worked with any c; where none did, the original image. An image stops early, for this
    c, when its loss has not fallen by 0.01 % over a tenth of the steps, and over 100 at least; but not before black and
    white pixels had the time to come back: their slope is so small that the loss seems to stand still at first.

    Deviations: by default 6 values of c with 200 steps of 0.05, from c = 0.1 (``CARLINI_WAGNER_PRESETS`` has the
    paper's 9 with 10,000 of 0.01, from 0.001); stopping early looks at each image alone, not at the sum over a batch;
    a search of 10 or more values does not end with the largest c once more, as the authors' code does.
    """

    name: ClassVar[str] = "carlini_wagner"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "kappa",
            "Confidence κ",
            "float",
            0.0,
            low=0.0,
            high=1000.0,
            unit="logits",
            help="How far the wanted class must lead; 0 stops at the boundary.",
        ),
        Parameter("learning_rate", "Learning rate", "float", 0.05, low=1e-5, high=1.0, help="Step size of Adam."),
        Parameter("steps", "Steps", "int", 200, low=1, high=20_000, help="Most steps of Adam for each c."),
        Parameter("search_steps", "Values of c", "int", 6, low=1, high=20, help="How many values of c are tried."),
        Parameter("initial_c", "First c", "float", 0.1, low=1e-6, high=1e6, help="Weight of the class against length."),
    )

    kappa: float = 0.0
    learning_rate: float = 0.05
    steps: int = 200
    search_steps: int = 6
    initial_c: float = 0.1

    def perturb(
        self,
        model: Logits,
        images: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        generator: torch.Generator,
        progress: Progress,
    ) -> Tensor:
        """The smallest change found that works, or the original image."""
        batch = Inputs(images, labels, targets)
        rows = (~succeeded(model.predict(images), labels, targets)).nonzero().squeeze(1)
        found = self._search(model, batch.chosen(rows), progress) if len(rows) else images[rows]
        attacked = images.clone()
        attacked[rows] = found
        # Judged with the whole batch at once, as the caller will.
        fails = ~succeeded(model.predict(attacked), labels, targets)
        attacked[fails] = images[fails]
        return attacked

    def _search(self, model: Logits, batch: Inputs, progress: Progress) -> Tensor:
        best = _Best(batch.images)
        c = torch.full((len(batch.images),), self.initial_c).to(batch.images)
        low, high = torch.zeros_like(c), torch.full_like(c, torch.inf)
        for level in range(self.search_steps):

            def report(fraction: float, message: str, level: int = level) -> None:
                where = f"c {level + 1} of {self.search_steps}"
                progress((level + fraction) / self.search_steps, f"{where}, {message}")

            works = self._descend(model, batch, c, best, report)
            low, high = torch.where(works, low, c), torch.where(works, c, high)
            c = torch.where(high.isinf(), c * 10, (low + high) / 2)
        return best.images

    def _descend(self, model: Logits, batch: Inputs, c: Tensor, best: _Best, progress: Progress) -> Tensor:
        """Runs Adam with one c (N,) per image; whether it worked (N,). Improves ``best``."""
        works = torch.zeros(len(c), dtype=torch.bool, device=c.device)
        rows = torch.arange(len(c), device=c.device)
        some = batch
        w = ((2 * batch.images - 1) * SHRINK).atanh()
        origin = _image(w)
        adam, last = Adam(w, self.learning_rate), torch.full_like(c, torch.inf)
        window = max(STEADY, -(-self.steps // 10))
        for step in range(self.steps):
            progress(step / self.steps, f"step {step + 1} of {self.steps}, {len(rows)} images")
            point, wanted, loss, gradient = self._evaluate(model, some, w, origin[rows], c[rows])
            works[rows] |= wanted
            best.offer(rows[wanted], point[wanted])
            if step % window == 0 and step * self.learning_rate > FARTHEST:
                falling = loss <= 0.9999 * last
                rows, some, last = rows[falling], some.chosen(falling), loss[falling]
                w, gradient = w[falling], gradient[falling]
            if len(rows) == 0:
                break
            w = w + adam.change(-gradient, rows)
        return works

    def _evaluate(
        self, model: Logits, batch: Inputs, w: Tensor, origin: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The images x'(w), whether each is what is wanted, the loss (N,) and its gradient in w."""
        with torch.enable_grad():
            w = w.detach().requires_grad_()
            point = _image(w)
            logits = model(point)
            # How far what is wanted leads: f is minus that, and no less than −κ.
            lead = margin(logits, batch.labels) if batch.targets is None else -margin(logits, batch.targets)
            loss = (point - origin).square().sum(dim=(1, 2, 3)) + c * (-lead).clamp_min(-self.kappa)
            value = loss.sum()
        gradient = gradient_of(value, w, model)
        lead, noise = lead.detach(), LEAD * logits.detach().abs().amax(dim=1)
        return point.detach(), lead > noise.clamp_min(self.kappa), loss.detach(), gradient


class _Best:
    """The nearest successes so far; at first the images themselves, at an infinite distance."""

    def __init__(self, originals: Tensor) -> None:
        self.images = originals.clone()
        self._originals = originals
        self._distances = torch.full((len(originals),), torch.inf).to(originals)

    def offer(self, rows: Tensor, points: Tensor) -> None:
        distances = torch.linalg.vector_norm(points - self._originals[rows], dim=(1, 2, 3))
        nearer = distances < self._distances[rows]
        self.images[rows[nearer]] = points[nearer]
        self._distances[rows[nearer]] = distances[nearer]


def _image(w: Tensor) -> Tensor:
    return (w.tanh() + 1) / 2
