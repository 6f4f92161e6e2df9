"""Starts Detour: ``python app.py``, then open the address it prints."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from dashboard.addresses import is_loopback

ROOT = Path(__file__).resolve().parent
_FOLDER = click.Path(file_okay=False, path_type=Path)
_READABLE_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=8050, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--data-dir", type=_FOLDER, help="Folder of uploads, caches and trained models.")
@click.option(
    "--cache-mb",
    default=1000,
    type=click.IntRange(50, 1_000_000),
    help="Most that results on disk take that can be computed again, but for one that is larger alone; in memory it "
    "is a quarter of it, 256 MB at most.",
)
@click.option("--datasets-dir", type=_FOLDER, help="Folder of data set files; DETOUR_DATA if not given.")
@click.option("--model", help="Own model, as package.module:factory.")
@click.option("--checkpoint", type=_FILE, help="Weights of the own model (.safetensors, .pt, .pth).")
@click.option("--dataset", help="Data set the own model is shown with.")
@click.option("--dataset-dir", type=_READABLE_FOLDER, help="Own data set: a folder with one subfolder a class.")
@click.option("--dask", metavar="ADDRESS", help="Compute class paths on a dask cluster: tcp://HOST:PORT.")
@click.option("--allow-remote", is_flag=True, help="Let other machines in without a password.")
@click.option("--allowed-host", multiple=True, help="Further name the server is called by; may be repeated.")
@click.option("--password", envvar="DETOUR_PASSWORD", help="Ask every visitor for it (any user name).")
@click.option(
    "--redis",
    envvar="DETOUR_REDIS",
    help="Let workers on this and other machines run the jobs, through the Redis server at redis://HOST:PORT/0.",
)
def main(allow_remote: bool, **options) -> None:
    """Shows in a browser how an attack leads an image classifier astray."""
    _check(allow_remote, options)
    click.echo("Starting Detour …", err=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # torch and Dash take seconds to import. Meanwhile a first start compiles the kernels, on the other core.
    compiling = subprocess.Popen([sys.executable, "-m", "engine.paths.compilation"], cwd=ROOT)
    try:
        from dashboard.serving import serve

        serve(compiling, **options)
    finally:
        compiling.terminate()
        compiling.wait()


def _check(allow_remote: bool, options: dict[str, Any]) -> None:
    host = options["host"]
    if not is_loopback(host) and not (allow_remote or options["password"]):
        raise click.UsageError(
            f"{host} can be reached from other machines. Set --password, or --allow-remote to let everybody in."
        )
    if options["model"] is None and (options["checkpoint"] or options["dataset"] or options["dataset_dir"]):
        raise click.UsageError("--checkpoint, --dataset and --dataset-dir belong to an own model; give --model too.")


if __name__ == "__main__":
    main()
