"""Where the tests find real data, a browser, and a home of their own."""

import os
import shutil
from pathlib import Path

import pytest


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
