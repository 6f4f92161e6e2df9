"""The command line: the same analyses without a browser. Results go to stdout, progress and errors to stderr."""

from __future__ import annotations

import click

from engine.command_line.add import add
from engine.command_line.attack import attack
from engine.command_line.attribute import attribute
from engine.command_line.bench import bench
from engine.command_line.detect_evaluate import evaluate_saved
from engine.command_line.detect_fit import fit
from engine.command_line.detect_sweep import sweep
from engine.command_line.evaluate import evaluate
from engine.command_line.harden import harden
from engine.command_line.models import fetch, list_datasets, list_models, train
from engine.command_line.paths import classes, paths
from engine.command_line.route import route
from engine.command_line.sensitivity import sensitivity


@click.group(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
def main() -> None:
    """Effective paths, attacks and their analyses from the command line."""


@click.group("detect")
def detection() -> None:
    """Detect attacked images by their paths."""


for _verb in (fit, evaluate_saved, sweep):
    detection.add_command(_verb)
for _verb in (
    list_models,
    list_datasets,
    fetch,
    train,
    add,
    harden,
    attack,
    paths,
    classes,
    detection,
    sensitivity,
    route,
    attribute,
    evaluate,
    bench,
):
    main.add_command(_verb)
