"""The command line: the same analyses without a browser. Results go to stdout, progress and errors to stderr."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

from engine.attacks.catalogue import attacks
from engine.datasets.catalogue import datasets, load_dataset
from engine.datasets.dataset import Dataset
from engine.datasets.folder import folder_dataset
from engine.errors import EngineError, InvalidInputError
from engine.hardening.training import train_classifier
from engine.locations import data_directory
from engine.network.catalogue import models
from engine.network.checkpoint import save_checkpoint
from engine.network.classifiers import Classifier, available_classifiers, load_classifier
from engine.paths.class_paths import compute_class_paths
from engine.paths.extraction import EffectivePath
from engine.progress import Progress

Verb = Callable[..., None]


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """A bar on stderr as a progress callback; nothing where stderr is not a terminal."""
    with tqdm(
        total=1.0, desc=label, file=sys.stderr, disable=None, bar_format="{desc} {percentage:3.0f}%|{bar}|{postfix}"
    ) as bar:

        def report(fraction: float, message: str) -> None:
            bar.set_postfix_str(message, refresh=False)
            bar.update(fraction - bar.n)

        yield report


def _verb(command: Verb) -> Verb:
    """Adds ``--json`` and turns the engine's errors into one sentence and exit status 2."""

    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @functools.wraps(command)
    def run(*args: Any, as_json: bool, **kwargs: Any) -> None:
        try:
            result: Any = command(*args, **kwargs)  # type: ignore[func-returns-value]
        except EngineError as error:
            click.echo(f"error: {error}", err=True)
            raise SystemExit(2) from error
        if as_json:
            click.echo(json.dumps(_plain(result), ensure_ascii=False, allow_nan=False, indent=2))
        else:
            click.echo(_as_text(result))

    return run


def _plain(value: Any) -> Any:
    """The value as JSON can hold it; what is not a number becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _as_text(result: Any) -> str:
    """Rows as a table, a mapping as lines of "name: value"."""
    if isinstance(result, list):
        names = list(result[0]) if result else []
        cells = [[_cell(row[name]) for name in names] for row in result]
        widths = [max(len(row[i]) for row in [names, *cells]) for i in range(len(names))]
        lines = [names, *cells]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in lines)
    parts = []
    for name, value in result.items():
        is_table = isinstance(value, list) and value and isinstance(value[0], dict)
        parts.append(f"{name}:\n{_as_text(value)}" if is_table else f"{name}: {_cell(value)}")
    return "\n".join(parts)


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_cell(item)}" for key, item in value.items())
    if isinstance(value, list | tuple | np.ndarray):
        return ", ".join(_cell(item) for item in value)
    return str(value)


@click.group(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
def main() -> None:
    """Effective paths, attacks and their analyses from the command line."""


@main.command("models")
@_verb
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


@main.command("datasets")
@_verb
def list_datasets() -> Any:
    """List the data sets, and whether their files are here."""
    rows = []
    for entry in datasets:
        try:
            data = load_dataset(entry.name)
            state, sizes = "ready", (len(data.train), len(data.test))
        except EngineError:
            state, sizes = "not here: fetch it", (0, 0)
        rows.append({"name": entry.name, "label": entry.label, "image": entry.facts["image_shape"],
                     "train": sizes[0], "test": sizes[1], "state": state})  # fmt: skip
    return rows


@main.command()
@click.argument("dataset", type=click.Choice(datasets.names()))
@_verb
def fetch(dataset: str) -> Any:
    """Download the files of DATASET into your data directory."""
    data = _dataset(dataset, download=True)
    return {"dataset": data.name, "train": len(data.train), "test": len(data.test)}


@main.command()
@click.argument("architecture", type=click.Choice(models.names()))
@click.option("--dataset", required=True, help="Name of a data set, or a folder of images, one subfolder a class.")
@click.option("--seed", default=0, type=click.IntRange(min=0), help="Seed of first weights and order of images.")
@click.option(
    "--epochs", type=click.IntRange(min=1), help="Passes over the training images; the recipe's if not given."
)
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), help="The recipe's if not given.")
@click.option("--batch-size", type=click.IntRange(min=1), help="The recipe's if not given.")
@click.option("--device", default="cpu", help="cpu or cuda.")
@click.option("--download", is_flag=True, help="Fetch the data set if its files are not here.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A .safetensors file; by default among your models.",
)
@_verb
def train(
    architecture: str, dataset: str, seed: int, epochs: int | None, learning_rate: float | None, batch_size: int | None,
    device: str, download: bool, output: Path | None,
) -> Any:  # fmt: skip
    """Train ARCHITECTURE by the project's recipe and save it with its card."""
    data = _dataset(dataset, download)
    with progress_bar(f"train {architecture}") as report:
        module, training = train_classifier(
            architecture, data, epochs=epochs, seed=seed, lr=learning_rate, batch_size=batch_size, device=device,
            progress=report,
        )  # fmt: skip
    target = output or data_directory() / "models" / f"{architecture}-{data.name}-seed{seed}.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    card = save_checkpoint(module, target, training.card())
    return {
        "file": target,
        "test accuracy": training.test_accuracy,
        "sha256": card["sha256"],
        "epochs": len(training.loss),
    }


@main.command()
@click.argument("model")
@click.option("--attack", "name", default="pgd_linf", type=click.Choice(attacks.names()), help="Which attack.")
@click.option("--images", "n_images", default=100, type=click.IntRange(min=1), help="The first so many test images.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the attack; may be repeated."
)
@click.option("--target", type=click.IntRange(min=0), help="Class to reach; any but the label if not given.")
@click.option("--seed", default=0, type=click.IntRange(min=0), help="Seed of random starts.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Save the adversarial images as .npy.")
@_verb
def attack(
    model: str, name: str, n_images: int, settings: tuple[str, ...], target: int | None, seed: int, output: Path | None
) -> Any:
    """Attack test images of MODEL's data set."""
    classifier, data = _classifier(model)
    rows = np.arange(min(n_images, len(data.test)))
    method = attacks[name].create(**_settings(settings))
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
        np.save(output, result.adversarial)
    won = result.success
    return {
        "attack": name, "settings": result.settings, "seed": seed, "images": len(rows),
        "scored": int(result.scored.sum()),
        "successes": int(won.sum()), "success rate": float(result.success_rate),
        "survive rounding": int(result.survives_rounding.sum()),
        "median l2 of successes": float(np.median(result.l2[won])) if won.any() else float("nan"),
        "median linf of successes": float(np.median(result.linf[won])) if won.any() else float("nan"),
    }  # fmt: skip


@main.command()
@click.argument("model")
@click.option("--index", default=0, type=click.IntRange(min=0), help="Which test image.")
@click.option("--rank", default=1, type=click.IntRange(min=1), help="Start from the logit of this place.")
@click.option("--target", type=click.IntRange(min=0), help="Start from this class's logit instead.")
@click.option("--theta", default=0.5, type=float, help="Share of each neuron's value to explain, above 0, up to 1.")
@click.option("--last-layers", type=click.IntRange(min=1), help="Stop after so many layers from the end.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Save the path as .npz.")
@_verb
def paths(
    model: str, index: int, rank: int, target: int | None, theta: float, last_layers: int | None, output: Path | None
) -> Any:
    """Extract the effective path of one test image of MODEL's data set."""
    classifier, data = _classifier(model)
    if index >= len(data.test):
        raise InvalidInputError(f"--index: expected at most {len(data.test) - 1}; got {index}.")
    extractor = EffectivePath(classifier.module, theta, last_layers)
    path = extractor.extract(data.test.images([index]), rank=rank, target=target)[0]
    if output is not None:
        path.save(output)
    assert path.target is not None
    layers = [
        {"layer": layer, "synapses": len(path.synapses[layer]), "weights": len(path.weights[layer]),
         "neurons": len(path.neurons[layer]), "density": path.density_per_layer()[layer]}
        for layer in path.layers
    ]  # fmt: skip
    return {
        "model": classifier.name, "image": index, "label": data.classes[int(data.test.labels[index])],
        "starts from": classifier.classes[path.target], "theta": theta, "density": path.density(), "layers": layers,
    }  # fmt: skip


@main.command()
@click.argument("model")
@click.option("--theta", default=0.5, type=float, help="Share of each neuron's value to explain, above 0, up to 1.")
@click.option("--images", "n_images", type=click.IntRange(min=1), help="Only the first so many training images.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Save the class paths as .npz.")
@_verb
def classes(model: str, theta: float, n_images: int | None, output: Path | None) -> Any:
    """Compute the class paths of MODEL on its training images, and which classes share a path.

    Work that is stopped goes on where it was when the same command is given again.
    """
    classifier, data = _classifier(model)
    state = (
        data_directory()
        / "cache"
        / f"class-paths-{classifier.key[:16]}-{data.key[:16]}-{theta:g}-{n_images or 'all'}.npz"
    )
    state.parent.mkdir(parents=True, exist_ok=True)
    with progress_bar("class paths") as report:
        found = compute_class_paths(
            classifier.module,
            data.train,
            classifier.classes,
            theta=theta,
            limit=n_images,
            resume_file=state,
            progress=report,
        )
    if output is not None:
        found.save(output)
    matrix = found.similarity()
    others = ~np.eye(len(matrix), dtype=bool)
    overall = found.overall()
    return {
        "model": classifier.name, "theta": theta, "images": int(found.counts.sum()),
        "overall density": overall.density(),
        "density per layer": overall.density_per_layer(), "mean similarity": float(np.nanmean(matrix[others])),
        "density growth": found.density_growth(),
        "similarity": [
            {"class": name, **dict(zip(found.class_names, row, strict=True))}
            for name, row in zip(found.class_names, matrix, strict=True)
        ],
    }  # fmt: skip


def _classifier(name: str) -> tuple[Classifier, Dataset]:
    classifier = load_classifier(name)
    if classifier.warning:
        raise EngineError(f"{name}: {classifier.warning}")
    return classifier, load_dataset(classifier.dataset)


def _dataset(name: str, download: bool) -> Dataset:
    if name in datasets or not Path(name).is_dir():
        with progress_bar(f"data set {name}") as report:
            return load_dataset(name, download=download, progress=report)
    return folder_dataset(Path(name))


def _settings(given: tuple[str, ...]) -> dict[str, object]:
    settings: dict[str, object] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals:
            raise InvalidInputError(f"--set: expected NAME=VALUE; got {item!r}.")
        settings[name.strip()] = value.strip()
    return settings
