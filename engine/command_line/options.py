"""Options that several verbs share, checked before any work begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import torch

from engine.datasets.catalogue import dataset_of
from engine.datasets.dataset import Dataset
from engine.errors import EngineError, InvalidInputError
from engine.network.classifiers import Classifier, load_classifier


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
    if classifier.warning:
        raise EngineError(f"{name}: {classifier.warning}")
    return classifier, dataset_of(classifier)


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
