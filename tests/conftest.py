"""Where the tests find real data, a browser, and a home of their own."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True, scope="session")
def home(tmp_path_factory):
    """No test reads or writes the user's own data directory."""
    directory = tmp_path_factory.mktemp("home")
    before = os.environ.get("DETOUR_HOME")
    os.environ["DETOUR_HOME"] = str(directory)
    yield directory
    if before is None:
        del os.environ["DETOUR_HOME"]
    else:
        os.environ["DETOUR_HOME"] = before


@pytest.fixture(scope="session")
def mnist():
    """The real MNIST through the engine's loader."""
    from engine.datasets.catalogue import load_dataset

    root = os.environ.get("DETOUR_DATA")
    if not root or not (Path(root) / "MNIST").is_dir():
        pytest.skip("real MNIST is not here: set DETOUR_DATA to a folder that holds MNIST/raw")
    return load_dataset("mnist")


@pytest.fixture(scope="session")
def lenet():
    """The shipped LeNet-5 for MNIST."""
    from engine.network.classifiers import load_classifier

    return load_classifier("lenet5-mnist")


def find_chromium():
    """The system's Chromium or Chrome; skips where there is none, unless DETOUR_REQUIRE_BROWSER is set."""
    found = next(
        (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome") if shutil.which(name)), None
    )
    if found is None:
        message = "no Chromium or Chrome on the PATH"
        if os.environ.get("DETOUR_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@dataclass(frozen=True)
class Server:
    """An app in a process of its own: its address, its process and its data directory."""

    address: str
    process: subprocess.Popen
    home: Path


def running_app(home, *options):
    """The app as the README's command starts it, under its production server, on a free port."""
    return running_server(home, [sys.executable, "-u", "app.py", "--port", "0", "--data-dir", str(home), *options])


def _heed_ctrl_c():
    """A shell that runs the tests in the background lets them ignore SIGINT, and what they start inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def running_server(home, command, **environment):
    """A command that starts the app and prints its address; its output goes to server.log in ``home``."""
    log = home / "server.log"
    with open(log, "w") as output:
        environment = os.environ | {"DETOUR_HOME": str(home)} | environment
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=environment, preexec_fn=_heed_ctrl_c
        )
    try:
        found = None
        for _ in range(600):
            found = re.search(r"Detour is at (http://\S+)", log.read_text())
            if found or process.poll() is not None:
                break
            time.sleep(0.1)
        assert found, log.read_text()
        yield Server(found[1], process, home)
    finally:
        process.terminate()
        process.wait(20)
