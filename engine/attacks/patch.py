"""The adversarial patch: one small picture, the same for all images, that misleads wherever it is put."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.attacks.adam import Adam
from engine.attacks.base import Attack, batches_of, logits_of_batch
from engine.attacks.bounded import LOSS
from engine.attacks.gradients import Loss, gradient_of, objective
from engine.attacks.inputs import Inputs
from engine.attacks.logits import Logits, device_of
from engine.errors import InvalidInputError
from engine.progress import Progress
from engine.registry import Parameter

#: Images a step of learning looks at, as in the authors' code.
IMAGES_PER_STEP = 16


def _scale(name: str, label: str, default: float) -> Parameter:
    meaning = "Diameter of the patch as a share of the image's shorter side, drawn anew for each image."
    return Parameter(name, label, "float", default, low=0.05, high=1.0, unit="of the shorter side", help=meaning)


@dataclass(frozen=True, eq=False)
class AdversarialPatch(Attack):
    """Brown et al. 2017, section 2: p̂ = arg max_p E_{x, t, l} log P(target | A(p, x, l, t)).

    A(p, x, l, t) puts the round patch p on the image x at the random position l, under the random rotation and scale t,
    wholly inside the frame. One patch is learnt from all images given that the model gets right, by gradient ascent on
    the mean over random images and placements; each image then gets it at one random placement. Untargeted, the label's
    loss rises instead. With different targets the one patch has to serve them all; the paper has one.

    The scale is the patch's diameter as a share of the image's side, as in the authors' code, which Qiu et al. 2019
    use; of the image's area the share is π/4 of its square: 0.8 % to 20 % for 0.1 to 0.5. Deviations: the optimiser is
    Adam instead of plain gradient descent, on one model instead of five; the authors learn with scales of 0.3 to 1.5
    whatever is used later, here learning and use share one range.

    Attributes:
        patch: (1, C, S, S) in [0, 1], S the shorter side of the images; None until it is learnt. Give a learnt one to
            put it on other images.
    """

    name: ClassVar[str] = "patch"
    learning_share: ClassVar[float] = 0.9
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "control",
            "Patch",
            "choice",
            "learnt",
            choices=("learnt", "random", "white"),
            help="The learnt patch, or a control that shows what covering the image alone does: noise, or white.",
        ),
        _scale("scale_low", "Smallest scale", 0.1),
        _scale("scale_high", "Largest scale", 0.5),
        Parameter(
            "rotation",
            "Rotation up to",
            "float",
            22.5,
            low=0.0,
            high=180.0,
            unit="degrees",
            help="The patch is turned by a random angle up to this, either way.",
        ),
        Parameter("steps", "Steps", "int", 500, low=1, high=20_000, help="Steps of learning, of 16 images each."),
        Parameter(
            "learning_rate", "Learning rate", "float", 0.05, low=1e-4, high=1.0, help="Step size of Adam in learning."
        ),
        LOSS,
    )

    control: Literal["learnt", "random", "white"] = "learnt"
    scale_low: float = 0.1
    scale_high: float = 0.5
    rotation: float = 22.5
    steps: int = 500
    learning_rate: float = 0.05
    loss: Loss = "cross_entropy"
    patch: Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale_low > self.scale_high:
            raise InvalidInputError(
                f"scale_low: expected at most scale_high, {self.scale_high:g}; got {self.scale_low:g}."
            )

    def fitted(self, model: nn.Module, inputs: Inputs, generator: torch.Generator, progress: Progress) -> Attack:
        """The same attack with its patch."""
        if self.patch is not None:
            return self
        channels, side = inputs.images.shape[1], min(inputs.images.shape[2:])
        patch = torch.full((1, channels, side, side), 0.5, device=device_of(model))
        if self.control == "white":
            patch = torch.ones_like(patch)
        elif self.control == "random":
            patch = torch.rand(patch.shape, generator=generator).to(patch)
        else:
            patch = self._learnt(patch, model, inputs, generator, progress)
        return replace(self, patch=patch)

    def perturb(
        self,
        model: Logits,
        images: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        generator: torch.Generator,
        progress: Progress,
    ) -> Tensor:
        """The images with the patch on each."""
        progress(0.0, "placing the patch")
        assert self.patch is not None, "an attack is fitted before its batches"
        if self.patch.shape[1] != images.shape[1]:
            raise InvalidInputError(
                f"patch: expected {images.shape[1]} channels, as the images have; got {self.patch.shape[1]}."
            )
        return pasted(images, self.patch.to(images), self._placements(len(images), generator).to(images))

    def _learnt(
        self, patch: Tensor, model: nn.Module, inputs: Inputs, generator: torch.Generator, progress: Progress
    ) -> Tensor:
        """Gradient ascent on the objective, over random images and placements."""
        rows = _useful_rows(model, inputs, progress)
        adam, only_row = Adam(patch, self.learning_rate), torch.zeros(1, dtype=torch.int64, device=patch.device)
        for step in range(self.steps):
            progress(step / self.steps, f"learning the patch, step {step + 1} of {self.steps}")
            drawn = rows[torch.randint(len(rows), (IMAGES_PER_STEP,), generator=generator)]
            some = inputs.chosen(drawn).part(slice(None), patch.device)
            placements = self._placements(IMAGES_PER_STEP, generator).to(patch)
            logits = Logits(model, f"step {step + 1} of learning the patch")
            with torch.enable_grad():
                point = patch.detach().requires_grad_()
                outputs = logits(pasted(some.images, point, placements))
                value = objective(outputs, some.labels, some.targets, self.loss) / IMAGES_PER_STEP
            patch = (patch + adam.change(gradient_of(value, point, logits), only_row)).clamp(0.0, 1.0)
        return patch.detach()

    def _placements(self, count: int, generator: torch.Generator) -> Tensor:
        """(N, 4): scale, angle in radians, and position from 0 to 1 across and down."""
        # One draw per image: the stream is the same however the images are split into batches.
        drawn = torch.stack([torch.rand(4, generator=generator) for _ in range(count)])
        drawn[:, 0] = self.scale_low + drawn[:, 0] * (self.scale_high - self.scale_low)
        drawn[:, 1] = (2 * drawn[:, 1] - 1) * math.radians(self.rotation)
        return drawn


def pasted(images: Tensor, patch: Tensor, placements: Tensor) -> Tensor:
    """The images with the round patch on them; other pixels stay what they are.

    Args:
        images: (N, C, H, W).
        patch: (1, C, S, S); differentiable.
        placements: (N, 4) scale of the shorter side, angle in radians, and the position from 0 to 1 across and down
            within what keeps the disc inside the frame.
    """
    grid = functional.affine_grid(_to_patch(placements, *images.shape[2:]), list(images.shape), align_corners=False)
    sampled = functional.grid_sample(
        patch.expand(len(images), -1, -1, -1), grid, padding_mode="border", align_corners=False
    )
    inside = (grid.square().sum(dim=3) <= 1)[:, None]
    return torch.where(inside, sampled, images)


def _to_patch(placements: Tensor, height: int, width: int) -> Tensor:
    """(N, 2, 3): from the image's coordinates to the patch's, both from −1 to 1; the disc is the unit circle."""
    scale, angle, across, down = placements.unbind(1)
    diameter = scale * min(height, width)
    # Distance from the middle of the image to the middle of the patch, in pixels.
    right, below = (across - 0.5) * (width - diameter), (down - 0.5) * (height - diameter)
    cos, sin = angle.cos(), angle.sin()
    rows = [
        torch.stack([cos * width / 2, sin * height / 2, -(cos * right + sin * below)], dim=1),
        torch.stack([-sin * width / 2, cos * height / 2, sin * right - cos * below], dim=1),
    ]
    return torch.stack(rows, dim=1) * (2 / diameter)[:, None, None]


def _useful_rows(model: nn.Module, inputs: Inputs, progress: Progress) -> Tensor:
    """The images the model gets right and that are not of the target's class; all images if there are none."""
    useful = []
    for index, rows in enumerate(batches_of(inputs.images)):
        progress(0.0, "finding the images that the model gets right")
        part = inputs.part(rows, device_of(model))
        right = logits_of_batch(model, index, rows).predict(part.images) == part.labels
        useful.append(right if part.targets is None else right & (part.targets != part.labels))
    found = torch.cat(useful).nonzero().squeeze(1).cpu()
    return found if len(found) else torch.arange(len(inputs.images))
