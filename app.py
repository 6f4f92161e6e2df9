"""Starts Detour: ``python app.py``, then open the address it prints."""

from __future__ import annotations

import logging
from pathlib import Path

import click
import waitress

from dashboard.application import create_app
from dashboard.security import is_loopback
from dashboard.services import EXTENSION
from dashboard.settings import MAX_BODY_BYTES, Settings
from engine.errors import EngineError
from engine.locations import data_directory

THREADS = 8
_FOLDER = click.Path(file_okay=False, path_type=Path)
_READABLE_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=8050, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--data-dir", type=_FOLDER, help="Folder of uploads, caches and trained models.")
@click.option("--datasets-dir", type=_FOLDER, help="Folder of data set files; DETOUR_DATA if not given.")
@click.option("--model", help="Own model, as package.module:factory.")
@click.option("--checkpoint", type=_FILE, help="Weights of the own model (.safetensors, .pt, .pth).")
@click.option("--dataset", help="Data set the own model is shown with.")
@click.option("--dataset-dir", type=_READABLE_FOLDER, help="Own data set: a folder with one subfolder a class.")
@click.option("--allow-remote", is_flag=True, help="Let other machines in without a password.")
@click.option("--allowed-host", multiple=True, help="Further name the server is called by; may be repeated.")
@click.option("--password", envvar="DETOUR_PASSWORD", help="Ask every visitor for it (any user name).")
def main(
    host: str, port: int, data_dir: Path | None, allow_remote: bool, allowed_host: tuple[str, ...], **rest
) -> None:
    """Shows in a browser how an attack leads an image classifier astray."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if not is_loopback(host) and not (allow_remote or rest["password"]):
        raise click.UsageError(
            f"{host} can be reached from other machines. Set --password, or --allow-remote to let everybody in."
        )
    if rest["model"] is None and (rest["checkpoint"] or rest["dataset"] or rest["dataset_dir"]):
        raise click.UsageError("--checkpoint, --dataset and --dataset-dir belong to an own model; give --model too.")
    names = tuple(name.lower() for name in allowed_host)
    settings = Settings(data_dir=data_dir or data_directory(), host=host, allowed_hosts=names, **rest)
    try:
        app = create_app(settings)
    except EngineError as error:
        raise click.ClickException(str(error)) from error
    _serve(app, host, port)


def _serve(app, host: str, port: int) -> None:
    try:
        server = waitress.create_server(
            app.server, host=host, port=port, threads=THREADS, ident=None, max_request_body_size=4 * MAX_BODY_BYTES
        )
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port} ({error}); choose another --port.") from error
    app.server.extensions[EXTENSION].warm_up()
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"Detour is at http://{shown}:{getattr(server, 'effective_port', port)}")
    server.run()


if __name__ == "__main__":
    main()
