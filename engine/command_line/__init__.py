"""The command line: the same analyses without a browser. Results go to stdout, progress and errors to stderr."""

from __future__ import annotations

import click

from engine.command_line.attack import attack
from engine.command_line.detect import detection
from engine.command_line.models import fetch, list_datasets, list_models, train
from engine.command_line.paths import classes, paths


@click.group(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
def main() -> None:
    """Effective paths, attacks and their analyses from the command line."""


for _verb in (list_models, list_datasets, fetch, train, attack, paths, classes, detection):
    main.add_command(_verb)
