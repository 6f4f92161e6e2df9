"""The verb attack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from engine.attacks.catalogue import attacks
from engine.command_line.options import load_for, output_file, settings_of
from engine.command_line.printing import progress_bar, verb
from engine.files import write_atomically


@click.command()
@click.argument("model")
@click.option("--attack", "name", default="pgd_linf", type=click.Choice(attacks.names()), help="Which attack.")
@click.option("--images", "n_images", default=100, type=click.IntRange(min=1), help="The first so many test images.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the attack; may be repeated."
)
@click.option("--target", type=click.IntRange(min=0), help="Class to reach; any but the label if not given.")
@click.option("--seed", default=0, type=click.IntRange(0, 2**63 - 1), help="Seed of random starts.")
@click.option("--output", type=output_file(".npy"), help="Save the adversarial images as .npy.")
@verb
def attack(
    model: str, name: str, n_images: int, settings: tuple[str, ...], target: int | None, seed: int, output: Path | None
) -> Any:
    """Attack test images of MODEL's data set."""
    classifier, data = load_for(model)
    rows = np.arange(min(n_images, len(data.test)))
    method = attacks[name].create(**settings_of(settings))
    targets = None if target is None else np.full(len(rows), target)
    with progress_bar(name) as report:
        result = method(
            classifier.module,
            data.test.images(rows),
            data.test.labels[rows],
            targets=targets,
            seed=seed,
            progress=report,
        )
    if output is not None:
        write_atomically(output, lambda partial: _save_npy(partial, result.adversarial))
    won = result.success
    return {
        "attack": name, "settings": result.settings, "seed": seed, "images": len(rows),
        "scored": int(result.scored.sum()),
        "successes": int(won.sum()), "success rate": float(result.success_rate),
        "survive rounding": int(result.survives_rounding.sum()),
        "median l2 of successes": float(np.median(result.l2[won])) if won.any() else float("nan"),
        "median linf of successes": float(np.median(result.linf[won])) if won.any() else float("nan"),
    }  # fmt: skip


def _save_npy(file: Path, array: np.ndarray) -> None:
    with file.open("wb") as stream:
        np.save(stream, array)
