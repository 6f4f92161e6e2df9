"""How every verb reports: results on stdout, as text or JSON; progress and errors on stderr."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
import numpy as np
from tqdm import tqdm

from engine.errors import EngineError
from engine.plain import plain
from engine.progress import Progress

Verb = Callable[..., None]

# A wider table has lines that nobody can follow.
_MOST_COLUMNS = 40


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


def verb(command: Verb) -> Verb:
    """Adds ``--json`` and turns the engine's errors into one sentence and exit status 2."""

    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    @functools.wraps(command)
    def run(*args: Any, as_json: bool, **kwargs: Any) -> None:
        try:
            result: Any = command(*args, **kwargs)  # type: ignore[func-returns-value]
        except (EngineError, OSError) as error:
            click.echo(f"error: {error}", err=True)
            raise SystemExit(2) from error
        if as_json:
            click.echo(json.dumps(plain(result), ensure_ascii=False, allow_nan=False, indent=2))
        else:
            click.echo(_as_text(result))

    return run


def _as_text(result: Any) -> str:
    """Rows as a table, a mapping as lines of "name: value"."""
    if isinstance(result, list):
        names = list(result[0]) if result else []
        cells = [[_cell(row[name]) for name in names] for row in result]
        widths = [max(len(row[i]) for row in [names, *cells]) for i in range(len(names))]
        lines = [names, *cells]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in lines)
    return "\n".join(_named(name, value) for name, value in result.items())


def _named(name: str, value: Any) -> str:
    if not (isinstance(value, list) and value and isinstance(value[0], dict)):
        return f"{name}: {_cell(value)}"
    if len(value[0]) > _MOST_COLUMNS:
        return f"{name}: {len(value)} rows of {len(value[0])} values do not fit a text; --json prints them"
    return f"{name}:\n{_as_text(value)}"


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_cell(item)}" for key, item in value.items())
    if isinstance(value, list | tuple | np.ndarray):
        return ", ".join(_cell(item) for item in value)
    return str(value)
