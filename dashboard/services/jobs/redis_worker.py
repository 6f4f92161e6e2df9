"""The command that starts a worker: ``python -m dashboard.services.jobs.redis_worker --redis URL --data-dir FOLDER``.

It runs one job at a time, in a process of its own, as a server without Redis does. Start as many as should run at once,
on as many machines as there are; all use one data directory, and those options of the server that concern models.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import click

from dashboard.services.jobs.kinds import MODULE
from dashboard.services.jobs.redis_connection import package, shown
from dashboard.settings import Settings
from engine.errors import EngineError

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.option("--redis", "url", envvar="DETOUR_REDIS", required=True, help="Redis server, as redis://HOST:PORT/0.")
@click.option("--data-dir", type=_FOLDER, required=True, help="The server's data directory, on a disk both share.")
@click.option("--cache-mb", default=1000, type=click.IntRange(50, 1_000_000), help="As for the server.")
@click.option("--datasets-dir", type=_FOLDER, help="Folder of data set files; DETOUR_DATA if not given.")
@click.option("--model", help="Own model, as for the server.")
@click.option("--checkpoint", type=_FILE, help="Weights of the own model.")
@click.option("--dataset", help="Data set the own model is shown with.")
@click.option("--dataset-dir", type=_FOLDER, help="Own data set: a folder with one subfolder a class.")
@click.option("--dask", help="Dask scheduler that computes class paths, as for the server.")
@click.option("--threads", type=click.IntRange(1), help="Threads of a job; the processors but one if not given.")
def main(url: str, cache_mb: int, threads: int | None, **options) -> None:
    """Runs the jobs of a Detour server that was started with the same --redis, one at a time."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = Settings(cache_bytes=cache_mb * 2**20, **options)
    try:
        package("rq")
        from dashboard.services.jobs.redis_runner import work

        click.echo(f"This worker runs jobs of {shown(url)}; Ctrl-C stops it.", err=True)
        work(settings, url, kinds=MODULE, threads=threads or max(1, (os.cpu_count() or 1) - 1))
    except EngineError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
