"""Options that several verbs share, checked before any work begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import torch

from engine.attacks.catalogue import attacks
from engine.command_line.printing import progress_bar
from engine.datasets.catalogue import dataset_of
from engine.datasets.dataset import Dataset
from engine.detection.study import Plan
from engine.errors import EngineError, InvalidInputError
from engine.locations import CACHE, data_directory
from engine.network.classifiers import Classifier, load_classifier
from engine.paths.aggregation import ClassPaths
from engine.paths.class_paths import class_paths_file, class_paths_once
from engine.paths.cluster import check_usable


def output_file(suffix: str) -> click.Path:
    """A file to write: its ending and its folder are checked before hours of work are done for it."""

    class Output(click.Path):
        def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
            path = Path(str(super().convert(value, param, ctx)))
            if path.suffix != suffix:
                self.fail(f"expected a file that ends in {suffix}; got {path.name!r}.", param, ctx)
            if not path.parent.is_dir():
                self.fail(f"there is no folder {path.parent}; make it first.", param, ctx)
            return path

    return Output(dir_okay=False, writable=True, path_type=Path)


def usable_device(_ctx: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Refuses a device that torch cannot use here."""
    try:
        torch.zeros(1, device=value)
    except (RuntimeError, AssertionError) as error:
        raise click.BadParameter(f"{value!r} cannot be used here ({str(error).splitlines()[0]}).") from error
    return value


def load_for(name: str) -> tuple[Classifier, Dataset]:
    """A trained classifier and the data set it was made for."""
    classifier = load_classifier(name)
    classifier.require_sound()
    return classifier, dataset_of(classifier)


def _usable_cluster(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Refuses an address of another form, or any while the package is absent."""
    try:
        return None if value is None else check_usable(value)
    except EngineError as error:
        raise click.BadParameter(str(error)) from error


#: ``--dask``: where class paths are computed, as the argument ``cluster``.
on_cluster = click.option(
    "--dask", "cluster", metavar="ADDRESS", callback=_usable_cluster,
    help="Compute class paths on the workers of the dask scheduler at tcp://HOST:PORT.",
)  # fmt: skip


def class_paths_for(
    classifier: Classifier, data: Dataset, theta: float, limit: int | None = None, cluster: str | None = None
) -> ClassPaths:
    """The class paths of a classifier's training images, kept in the user's data directory."""
    file = class_paths_kept(classifier, data, theta, limit)
    with progress_bar("class paths") as report:
        return class_paths_once(
            classifier.module, data.train, classifier.classes, file=file, theta=theta, limit=limit, cluster=cluster,
            progress=report,
        )  # fmt: skip


def class_paths_kept(classifier: Classifier, data: Dataset, theta: float, limit: int | None = None) -> Path:
    """Where these class paths are kept, for the application too; what was found of them is kept beside."""
    return class_paths_file(data_directory() / CACHE, classifier.key, data.key, theta, limit)


def plans_of(names: tuple[str, ...]) -> tuple[Plan, ...]:
    """The attacks of those names with their usual settings, as a study takes them."""
    return tuple(Plan(attacks[name].label, name) for name in dict.fromkeys(names))


def attack_folder() -> Path:
    """Where attacked images are kept."""
    return data_directory() / CACHE / "attacks"


def settings_of(given: tuple[str, ...]) -> dict[str, object]:
    """NAME=VALUE pairs as a mapping."""
    settings: dict[str, object] = {}
    for item in given:
        name, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            raise InvalidInputError(f"--set: expected NAME=VALUE; got {item!r}.")
        if name in settings:
            raise InvalidInputError(f"--set: {name} is given twice.")
        settings[name] = value
    return settings
