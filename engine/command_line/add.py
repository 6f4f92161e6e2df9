"""The verb add: an architecture with published, own or random weights becomes one of the user's models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from engine.command_line.options import output_file
from engine.command_line.printing import verb
from engine.datasets.imagenet import imagenet_classes
from engine.errors import InvalidInputError
from engine.locations import data_directory
from engine.network.catalogue import TIMM, architecture, build_model, models
from engine.network.checkpoint import load_checkpoint, save_checkpoint
from engine.network.initialisation import he_initialise
from engine.network.pretrained import load_pretrained
from engine.network.trace import trace


@click.command()
@click.argument("name", metavar="ARCHITECTURE")
@click.option("--weights", default="pretrained", help="pretrained, none (random ones), or a checkpoint's file.")
@click.option(
    "--weights-dir",
    envvar="DETOUR_WEIGHTS",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of published weights; DETOUR_WEIGHTS if not given.",
)
@click.option("--seed", default=0, type=click.IntRange(0, 2**63 - 1), help="Seed of random weights.")
@click.option("--output", type=output_file(".safetensors"), help="A .safetensors file; by default among your models.")
@verb
def add(name: str, weights: str, weights_dir: Path | None, seed: int, output: Path | None) -> Any:
    """Add ARCHITECTURE, one for ImageNet or any of timm's as timm/NAME, to your models."""
    entry = architecture(name)
    if "imagenet" not in entry.facts["datasets"]:
        known = [e.name for e in models if "imagenet" in e.facts["datasets"]]
        raise InvalidInputError(
            f"{name}: expected an architecture for ImageNet ({', '.join(known)}, {TIMM}NAME); this one is trained "
            "here: python -m engine train."
        )
    classes = imagenet_classes()
    module = build_model(name, classes=len(classes))
    label = f"{entry.label} · ImageNet"
    if weights == "none":
        he_initialise(module, seed)
        source, label = f"random (He et al. 2015, seed {seed})", f"{label}, random weights"
    elif weights == "pretrained":
        source = load_pretrained(module, name, weights_dir)
    else:
        source = f"{Path(weights).name}, sha256 {load_checkpoint(module, Path(weights)).sha256}"
    module.eval()
    trace(module, entry.facts["image_shape"])  # one that no path can be extracted from is refused now
    card = {
        "label": label, "architecture": name, "dataset": "imagenet", "classes": list(classes),
        "image_shape": list(entry.facts["image_shape"]), "weights": source,
    }  # fmt: skip
    suffix = "-random" if weights == "none" else ""
    target = output or data_directory() / "models" / f"{name.replace('/', '-')}-imagenet{suffix}.safetensors"
    if output is None and target.exists():
        raise InvalidInputError(
            f"{target}: there is such a model already; remove it, or give another file as --output."
        )
    saved = save_checkpoint(module, target, card)
    return {"file": target, "weights": source, "parameters": saved["parameters"], "sha256": saved["sha256"]}
