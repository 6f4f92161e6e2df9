"""The verb harden."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch

from engine.command_line.options import load_for, output_file, settings_of, usable_device
from engine.command_line.printing import progress_bar, verb
from engine.hardening.catalogue import hardening_methods
from engine.hardening.hardening import harden as run_hardening
from engine.hardening.hardening import usual_method, usual_settings
from engine.hardening.methods.base import Start
from engine.hardening.settings import TrainingSettings
from engine.hardening.state import check_resume
from engine.locations import data_directory
from engine.network.checkpoint import save_checkpoint


@click.command()
@click.argument("model")
@click.option("--method", "name", required=True, type=click.Choice(hardening_methods.names()), help="Which method.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the method; may be repeated."
)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training images.")
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), help="At the first step.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images a step.")
@click.option("--images", type=click.IntRange(min=1), help="Training images: a fixed subset; all if not given.")
@click.option("--start", type=click.Choice(["parent", "scratch"]), help="First weights: MODEL's, or random ones.")
@click.option("--seed", default=0, type=click.IntRange(0, 2**63 - 1), help="Seed of every random choice.")
@click.option("--threads", default=1, type=click.IntRange(min=1), help="Of the CPU; another number, other weights.")
@click.option("--device", default="cpu", callback=usable_device, help="cpu or cuda.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Keep every epoch in this folder.")
@click.option("--resume", is_flag=True, help="Go on with the run in --folder.")
@click.option("--output", type=output_file(".safetensors"), help="A .safetensors file; by default among your models.")
@verb
def harden(
    model: str, name: str, settings: tuple[str, ...], epochs: int | None, learning_rate: float | None,
    batch_size: int | None, images: int | None, start: Start | None, seed: int, threads: int, device: str,
    folder: Path | None, resume: bool, output: Path | None,
) -> Any:  # fmt: skip
    """Train MODEL against attacks and save the result with its card. What is not given is the method's preset."""
    check_resume(folder, resume)
    hardening_methods[name].create(**settings_of(settings))
    classifier, data = load_for(model)
    method = usual_method(name, data, **settings_of(settings))
    preset = usual_settings(classifier, data, method, device, start)
    training = _changed(preset, epochs=epochs, lr=learning_rate, batch_size=batch_size, images=images)
    with progress_bar(f"harden {model}") as report:
        module, found = run_hardening(
            classifier, data, method, settings=training, seed=seed, threads=threads, device=device, folder=folder,
            progress=report,
        )  # fmt: skip
    target = output or data_directory() / "models" / f"{_name(model, name, settings, seed)}.safetensors"
    stored = torch.float16 if training.stored == "float16" else None
    card = save_checkpoint(module, target, found.card(), dtype=stored)
    return {
        "file": target, "parent": model, "method": name, "settings": method.settings, "seed": seed,
        "epochs": found.curves.epochs, "test accuracy": found.test_accuracy, "last epoch": found.curves.last(),
        "frozen layers": list(found.frozen), "units": {layer: len(units) for layer, units in found.units.items()},
        "seconds": float(found.curves.seconds.sum()), "sha256": card["sha256"],
    }  # fmt: skip


def _name(model: str, method: str, settings: tuple[str, ...], seed: int) -> str:
    """A name of its own for each variant of a method: with what was set, in letters that every disk takes."""
    changed = "".join(f"-{item.replace('=', '-')}" for item in sorted(settings))
    return re.sub(r"[^A-Za-z0-9._-]", "_", f"{model}-{method}{changed}-seed{seed}")


def _changed(preset: TrainingSettings, **given: Any) -> TrainingSettings:
    """The preset with what was given in its place."""
    return replace(preset, **{name: value for name, value in given.items() if value is not None})
