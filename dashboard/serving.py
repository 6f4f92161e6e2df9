"""Makes the application and serves it."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

import click
import waitress
from dash import Dash

from dashboard.application import create_app
from dashboard.services import EXTENSION
from dashboard.settings import MAX_BODY_BYTES, Settings
from engine.errors import EngineError
from engine.locations import data_directory

log = logging.getLogger(__name__)

THREADS = 8


def serve(
    compiling: subprocess.Popen,
    *,
    host: str,
    port: int,
    data_dir: Path | None,
    allowed_host: tuple[str, ...],
    **rest,
) -> None:
    """Serves until it is stopped.

    Args:
        compiling: the process that compiles the kernels; no path is extracted before it has ended.
        host, port: where to listen; port 0 takes a free one.
        data_dir: folder of uploads, caches and trained models, or None for the user's own.
        allowed_host: further names the server is called by.
        rest: the other fields of :class:`Settings`.

    Raises:
        click.ClickException: if the address or an own model cannot be used.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    names = tuple(name.lower() for name in allowed_host)
    settings = Settings(data_dir=data_dir or data_directory(), host=host, allowed_hosts=names, **rest)
    try:
        app = create_app(settings)
    except EngineError as error:
        raise click.ClickException(str(error)) from error
    app.server.extensions[EXTENSION].choices.hold_extraction(lambda: _finish(compiling))
    _run(app, host, port)


def _finish(compiling: subprocess.Popen) -> None:
    if compiling.wait():
        log.warning("The kernels were not compiled ahead (the lines above say why); the first image takes longer.")


def _run(app: Dash, host: str, port: int) -> None:
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
