"""The verb attribute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from engine.attacks.catalogue import attacks
from engine.attribution.grad_cam import grad_cam
from engine.attribution.segmentation import QUANTILE, unit_profile
from engine.command_line.options import load_for, output_file, settings_of
from engine.command_line.printing import progress_bar, verb
from engine.files import write_atomically

NAMED = 5


@click.command()
@click.argument("model")
@click.option("--index", default=0, type=click.IntRange(min=0), help="Which test image.")
@click.option("--attack", "name", default="pgd_linf", type=click.Choice(attacks.names()), help="Which attack.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the attack; may be repeated."
)
@click.option("--layer", help="A convolution, as in conv2 or, after its activation, conv2:act; the last if not given.")
@click.option("--images", "n_images", default=500, type=click.IntRange(min=1), help="Test images to find regions with.")
@click.option("--quantile", default=QUANTILE, type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="A unit's region of interest lies above this quantile of its activations.")  # fmt: skip
@click.option("--seed", default=0, type=click.IntRange(0, 2**63 - 1), help="Seed of the attack.")
@click.option("--output", type=output_file(".npz"), help="Save the maps of both copies as .npz.")
@verb
def attribute(
    model: str, index: int, name: str, settings: tuple[str, ...], layer: str | None, n_images: int, quantile: float,
    seed: int, output: Path | None,
) -> Any:  # fmt: skip
    """Show where MODEL sees its answer for a test image and for its attacked copy (Grad-CAM), and each unit's peaks."""
    classifier, data = load_for(model)
    image, label = data.test.images([index]), data.test.labels[[index]]
    method = attacks[name].create(**settings_of(settings))
    with progress_bar(name) as report:
        result = method(classifier.module, image, label, seed=seed, progress=report)
    both = np.concatenate([image.numpy(), result.adversarial])
    answers = np.concatenate([result.predictions_before, result.predictions_after])
    found = grad_cam(classifier.module, torch.from_numpy(both), answers, layer=layer)
    rows = np.arange(min(n_images, len(data.test)))
    with progress_bar("units") as report:
        profile = unit_profile(
            classifier.module, data.test.images(rows), found.layer, quantile=quantile, progress=report
        )  # fmt: skip
    if output is not None:
        write_atomically(output, lambda partial: _save(partial, found.maps, both))
    units = np.argsort(-profile.peaks[:, 0], kind="stable")[:NAMED]
    return {
        "model": classifier.name, "image": index, "layer": found.layer, "attack": name, "settings": result.settings,
        "copies": [
            {"copy": copy, "answer": classifier.classes[answer], "largest": float(each.max()),
             "centre (row, column)": _centre(each)}
            for copy, answer, each in zip(("clean", "attacked"), answers, found.maps, strict=True)
        ],
        "units": [
            {"unit": int(unit), "threshold": float(profile.thresholds[unit]), "peak": float(profile.peaks[unit, 0]),
             "strongest images": profile.strongest[unit].tolist()}
            for unit in units
        ],
    }  # fmt: skip


def _centre(heat: np.ndarray) -> list[float] | None:
    """Where the weight of a map lies, in pixels from the upper left; None for an empty map."""
    if not heat.any():
        return None
    places = np.indices(heat.shape).reshape(2, -1)
    return [round(float(x), 1) for x in (places * heat.reshape(-1)).sum(axis=1) / heat.sum()]


def _save(file: Path, maps: np.ndarray, images: np.ndarray) -> None:
    with file.open("wb") as stream:
        np.savez_compressed(stream, maps=maps, images=images)
