"""The cost of one path of one network (Qiu et al. 2019, section 5: cost beside CDRP)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from engine.benchmark.memory import peak_memory
from engine.benchmark.timing import medians, threads
from engine.detection.cdrp import STEPS, gate_features
from engine.network.catalogue import architecture, build_model
from engine.network.initialisation import he_initialise
from engine.paths.extraction import EffectivePath
from engine.progress import Progress, silent, span

#: Networks of the table, of torchvision and timm.
NETWORKS = ("alexnet", "resnet18", "resnet50", "vgg16", "inception_v3", "inception_v4", "resnetv2_50")
PARTIAL_LAYERS = 3
#: How much faster a path is than CDRP in the paper.
PAPER_RATIOS = {"alexnet": 70.0, "resnet50": 6.0}


@dataclass(frozen=True, slots=True)
class ExtractionCost:
    """What a rank-1 path of one image costs.

    Attributes:
        network: name of the catalogue.
        threads: that torch and the kernels used.
        device: "cpu" or "cuda".
        forward_s: one forward pass.
        path_s: the full path, its own forward pass included.
        partial_s: the path of the last three layers.
        cdrp_s: critical data routing paths with 30 steps; NaN where not measured.
        memory_bytes: by how much the process grew while the first path was extracted.
        synapses: of the path.
    """

    network: str
    threads: int
    device: str
    forward_s: float
    path_s: float
    partial_s: float
    cdrp_s: float
    memory_bytes: int
    synapses: int

    def row(self) -> dict[str, object]:
        """The numbers as a line of a table: times in milliseconds, and as multiples of the forward pass."""
        return {
            "network": self.network,
            "forward ms": self.forward_s * 1000,
            "path ms": self.path_s * 1000,
            "path / forward": self.path_s / self.forward_s,
            "last 3 layers / forward": self.partial_s / self.forward_s,
            "CDRP / path": self.cdrp_s / self.path_s,
            "CDRP / path, paper": PAPER_RATIOS.get(self.network, float("nan")),
            "memory MB": self.memory_bytes / 2**20,
            "synapses": self.synapses,
        }


@dataclass(frozen=True, slots=True)
class ScalingCost:
    """What the path costs with another θ or another number of images.

    Attributes:
        theta: share of each neuron's value to explain.
        images: in one batch.
        path_s: for all images of the batch.
        forward_s: likewise.
        synapses: of all paths.
    """

    theta: float
    images: int
    path_s: float
    forward_s: float
    synapses: int

    def row(self) -> dict[str, object]:
        """As a line of a table."""
        return {
            "theta": self.theta,
            "images": self.images,
            "path ms an image": self.path_s * 1000 / self.images,
            "path / forward": self.path_s / self.forward_s,
            "synapses an image": self.synapses // self.images,
        }


def random_network(name: str, device: str = "cpu") -> nn.Module:
    """An architecture of the catalogue with He-normal weights of seed 0, in eval mode."""
    model = build_model(name).eval()
    he_initialise(model, 0)
    return model.to(device)


def random_images(name: str, count: int = 1) -> torch.Tensor:
    """(count, C, H, W) uniform noise in [0, 1] of the size that the architecture usually takes, seed 0."""
    shape = architecture(name).facts["image_shape"]
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


def extraction_cost(
    name: str, *, n_threads: int = 2, runs: int = 3, cdrp: bool = True, device: str = "cpu", progress: Progress = silent
) -> ExtractionCost:
    """Measures one network: medians of ``runs``, the works in turn."""
    model, images = random_network(name, device), random_images(name)
    on_device = images.to(device)
    full, partial_path = EffectivePath(model), EffectivePath(model, last_layers=PARTIAL_LAYERS)
    with threads(n_threads):
        network = full.network((images.shape[1], images.shape[2], images.shape[3]))
        partial_path.extract(images)  # compiles most kernels, so that the first full path shows its own memory
        memory = peak_memory(partial(full.extract, images))
        works: dict[str, Callable[[], object]] = {
            "forward": partial(forward, model, on_device),
            "path": partial(full.extract, images),
            "partial": partial(partial_path.extract, images),
        }
        if cdrp:
            works["CDRP"] = partial(gate_features, network, images, steps=STEPS)
        taken = medians(works, runs, progress)
        path = full.extract(images)[0]
    return ExtractionCost(
        name, n_threads, device, taken["forward"], taken["path"], taken["partial"], taken.get("CDRP", float("nan")),
        memory, sum(len(ids) for ids in path.synapses.values()),
    )  # fmt: skip


def scaling_costs(
    name: str,
    *,
    thetas: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
    batches: tuple[int, ...] = (1, 8, 32),
    n_threads: int = 2,
    runs: int = 3,
    device: str = "cpu",
    progress: Progress = silent,
) -> list[ScalingCost]:
    """How the cost of a path grows with θ (one image) and with the number of images (θ = 0.5)."""
    model = random_network(name, device)
    settings = [(theta, 1) for theta in thetas] + [(0.5, count) for count in batches if count > 1]
    costs = []
    with threads(n_threads):
        for place, (theta, count) in enumerate(settings):
            images, extractor = random_images(name, count), EffectivePath(model, theta)
            works: dict[str, Callable[[], object]] = {
                "path": partial(extractor.extract, images),
                "forward": partial(forward, model, images),
            }
            within = span(progress, place / len(settings), (place + 1) / len(settings))
            taken = medians(works, runs, within)
            synapses = sum(len(ids) for path in extractor.extract(images) for ids in path.synapses.values())
            costs.append(ScalingCost(theta, count, taken["path"], taken["forward"], synapses))
    return costs


def forward(model: nn.Module, images: torch.Tensor) -> None:
    """One forward pass without gradients, waited for where the device works by itself."""
    with torch.no_grad():
        model(images)
    if images.is_cuda:
        torch.cuda.synchronize()
