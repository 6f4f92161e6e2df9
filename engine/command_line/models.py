"""The verbs for models and data sets: models, datasets, fetch, train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import torch

from engine.command_line.options import output_file, usable_device
from engine.command_line.printing import progress_bar, verb
from engine.datasets.catalogue import datasets, load_dataset
from engine.datasets.dataset import Dataset
from engine.datasets.folder import folder_dataset
from engine.errors import EngineError
from engine.hardening.state import check_resume
from engine.hardening.training import train_classifier
from engine.locations import data_directory
from engine.network.catalogue import models
from engine.network.checkpoint import save_checkpoint
from engine.network.classifiers import available_classifiers


@click.command("models")
@verb
def list_models() -> Any:
    """List the architectures, and the trained classifiers among them."""
    rows = [
        {
            "name": e.name,
            "label": e.label,
            "kind": "trained",
            "image": e.facts["image_shape"],
            "for": e.facts["dataset"],
        }
        if "problem" not in e.facts
        else {"name": e.name, "label": e.label, "kind": "damaged", "image": (), "for": e.facts["problem"]}
        for e in available_classifiers()
    ]
    rows += [
        {
            "name": e.name,
            "label": e.label,
            "kind": "architecture",
            "image": e.facts["image_shape"],
            "for": e.facts["datasets"],
        }
        for e in models
    ]
    return rows


@click.command("datasets")
@verb
def list_datasets() -> Any:
    """List the data sets, and whether their files are here."""
    rows = []
    for entry in datasets:
        try:
            data = load_dataset(entry.name)
            state, sizes = "ready", (len(data.train), len(data.test))
        except EngineError as error:
            state, sizes = f"not usable: {error}", (0, 0)
        rows.append({"name": entry.name, "label": entry.label, "image": entry.facts["image_shape"],
                     "train": sizes[0], "test": sizes[1], "state": state})  # fmt: skip
    return rows


@click.command()
@click.argument("dataset", type=click.Choice(datasets.names()))
@verb
def fetch(dataset: str) -> Any:
    """Download the files of DATASET into your data directory."""
    data = _dataset(dataset, download=True)
    return {"dataset": data.name, "train": len(data.train), "test": len(data.test)}


@click.command()
@click.argument("architecture", type=click.Choice(models.names()))
@click.option("--dataset", required=True, help="Name of a data set, or a folder of images, one subfolder a class.")
@click.option("--seed", default=0, type=click.IntRange(0, 2**63 - 1), help="Seed of first weights and order of images.")
@click.option(
    "--epochs", type=click.IntRange(min=1), help="Passes over the training images; the recipe's if not given."
)
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), help="The recipe's if not given.")
@click.option("--batch-size", type=click.IntRange(min=1), help="The recipe's if not given.")
@click.option("--threads", default=1, type=click.IntRange(min=1), help="Of the CPU; another number, other weights.")
@click.option("--device", default="cpu", callback=usable_device, help="cpu or cuda.")
@click.option("--download", is_flag=True, help="Fetch the data set if its files are not here.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Keep every epoch in this folder.")
@click.option("--resume", is_flag=True, help="Go on with the run in --folder.")
@click.option("--output", type=output_file(".safetensors"), help="A .safetensors file; by default among your models.")
@verb
def train(
    architecture: str, dataset: str, seed: int, epochs: int | None, learning_rate: float | None, batch_size: int | None,
    threads: int, device: str, download: bool, folder: Path | None, resume: bool, output: Path | None,
) -> Any:  # fmt: skip
    """Train ARCHITECTURE by the project's recipe and save it with its card."""
    check_resume(folder, resume)
    data = _dataset(dataset, download)
    with progress_bar(f"train {architecture}") as report:
        module, training = train_classifier(
            architecture, data, epochs=epochs, seed=seed, lr=learning_rate, batch_size=batch_size, threads=threads,
            device=device, folder=folder, progress=report,
        )  # fmt: skip
    target = output or data_directory() / "models" / f"{architecture}-{data.name}-seed{seed}.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    stored = torch.float16 if training.recipe.stored == "float16" else None
    card = save_checkpoint(module, target, training.card(), dtype=stored)
    return {
        "file": target,
        "test accuracy": training.test_accuracy,
        "sha256": card["sha256"],
        "epochs": len(training.loss),
    }


def _dataset(name: str, download: bool) -> Dataset:
    if name in datasets or not Path(name).is_dir():
        with progress_bar(f"data set {name}") as report:
            return load_dataset(name, download=download, progress=report)
    return folder_dataset(Path(name))
