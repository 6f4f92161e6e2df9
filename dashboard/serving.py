"""Makes the application and serves it."""

from __future__ import annotations

import logging
import signal
import subprocess
from functools import partial
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
# A browser keeps six open for minutes: with waitress's usual 100, the 17th person would wait for somebody to leave.
# Most systems give a process 1,024 files.
CONNECTIONS = 800
# Requests under way have so long when the server is stopped; the jobs need the rest of ten seconds.
REQUESTS_END_S = 2


def serve(
    compiling: subprocess.Popen,
    *,
    host: str,
    port: int,
    data_dir: Path | None,
    allowed_host: tuple[str, ...],
    cache_mb: int,
    **rest,
) -> None:
    """Serves until it is stopped.

    Args:
        compiling: the process that compiles the kernels; no path is extracted before it has ended.
        host, port: where to listen; port 0 takes a free one.
        data_dir: folder of uploads, caches and trained models, or None for the user's own.
        allowed_host: further names the server is called by.
        cache_mb: most that the cache on disk takes, in MB of 2^20 bytes.
        rest: the other fields of :class:`Settings`.

    Raises:
        click.ClickException: if the address or an own model cannot be used.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    names = tuple(name.lower() for name in allowed_host)
    home = data_dir or data_directory()
    settings = Settings(data_dir=home, host=host, allowed_hosts=names, cache_bytes=cache_mb * 2**20, **rest)
    try:
        app = create_app(settings)
    except EngineError as error:
        raise click.ClickException(str(error)) from error
    app.server.extensions[EXTENSION].choices.hold_extraction(lambda: _finish(compiling))
    run(app, host, port)


def _finish(compiling: subprocess.Popen) -> None:
    if compiling.wait():
        log.warning("The kernels were not compiled ahead (the lines above say why); the first image takes longer.")


def run(app: Dash, host: str, port: int) -> None:
    """Serves an application until the process is told to end, and then ends its jobs.

    Raises:
        click.ClickException: if the address cannot be used.
    """
    services = app.server.extensions[EXTENSION]
    try:
        server = _listen(app, host, port)
        services.warm_up()
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"Detour is at http://{shown}:{getattr(server, 'effective_port', port)}")
        server.run()
    finally:
        # A second signal, or a second Ctrl-C, must not leave jobs behind.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        services.jobs.close()


def _listen(app: Dash, host: str, port: int) -> waitress.server.BaseWSGIServer:
    try:
        server = waitress.create_server(
            app.server, host=host, port=port, threads=THREADS, ident=None, max_request_body_size=4 * MAX_BODY_BYTES,
            connection_limit=CONNECTIONS, asyncore_use_poll=True,
        )  # fmt: skip
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port} ({error}); choose another --port.") from error
    server.task_dispatcher.shutdown = partial(server.task_dispatcher.shutdown, timeout=REQUESTS_END_S)
    return server
