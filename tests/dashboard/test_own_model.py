"""A person's own model, checkpoint and folder of images; and what is wrong with them."""

import os
import pickle
import subprocess
import sys
import threading

import click
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dashboard.pages.inspect import cards
from dashboard.services import EXTENSION
from dashboard.services.computations import Pending
from dashboard.serving import serve
from engine.errors import EngineError
from tests.conftest import ROOT
from tests.dashboard import own_models
from tests.dashboard.answers import deadline
from tests.dashboard.conftest import call
from tests.dashboard.test_inspect import draw

GREY, COLOUR = "tests.dashboard.own_models:grey", "tests.dashboard.own_models:colour"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Three classes of 16×16 colour images, told apart by their hue."""
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    for channel, name in enumerate(("red", "green", "blue")):
        (folder / name).mkdir()
        for number in range(10):
            pixels = random.integers(0, 90, (16, 16, 3), dtype=np.uint8)
            pixels[:, :, channel] += 160
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def opened(tmp_path, new_app):
    """Opens an application with the given options."""

    def open_app(**options):
        app = new_app(data_dir=tmp_path / "home", datasets_dir=tmp_path / "none", **options)
        return app.server.test_client(), app.server.extensions[EXTENSION]

    return open_app


def test_a_colour_model_with_its_own_folder_is_shown_as_any_other(opened, photographs):
    client, services = opened(model=COLOUR, dataset_dir=photographs)
    assert services.choices.default_model() == "colour"
    assert services.choices.labels()["colour"] == f"colour · {photographs.name}"
    query = "?image=test:1&attack=fgsm&epsilon=0.3"
    for card in (cards.ORIGINAL, cards.PERTURBATION, cards.ADVERSARIAL, cards.PROBABILITIES, cards.GRAPH):
        response = draw(client, card, query)
        assert response[card.part("place")]["className"] == "figure-place"
    deadline(lambda: services.normal_paths.ask("colour", 0.5).normal)
    names = services.normal_paths.ask("colour", 0.5).normal.class_paths.class_names
    assert names == ("blue", "green", "red")
    assert client.get("/").status_code == 200


def test_weights_with_nan_are_shown_behind_a_banner_and_nothing_is_computed(opened, tmp_path):
    weights = own_models.grey().state_dict()
    weights["fc1.weight"][3, 4] = float("nan")
    save_file(weights, tmp_path / "nan.safetensors")
    client, services = opened(model=GREY, checkpoint=tmp_path / "nan.safetensors")
    layout = call(
        client,
        [("_pages_content", "children"), ("_pages_store", "data")],
        [("_pages_location", "pathname", "/"), ("_pages_location", "search", "")],
        [("shown-selection", "data", None)],
    )
    assert "fc1.weight" in layout.text
    assert "NaN" in layout.text
    for card in (cards.ORIGINAL, cards.PROBABILITIES, cards.GRAPH):
        response = draw(client, card, "")
        assert "is-error" in response[card.part("place")]["className"]
        assert "NaN" in str(response[card.part("message")])
    deadline(lambda: services.normal_paths.ask("grey", 0.5).error)
    assert "NaN" in services.normal_paths.ask("grey", 0.5).error


def bad_checkpoint(kind, folder):
    weights = own_models.grey().state_dict()
    if kind == "truncated":
        save_file(weights, folder / "whole.safetensors")
        file = folder / "half.safetensors"
        file.write_bytes((folder / "whole.safetensors").read_bytes()[:50_000])
    elif kind == "wrong keys":
        file = folder / "keys.safetensors"
        save_file({name.replace("fc", "dense"): value for name, value in weights.items()}, file)
    elif kind == "wrong shapes":
        file = folder / "shapes.safetensors"
        save_file(weights | {"fc3.weight": torch.zeros(7, 84)}, file)
    else:
        file = folder / "other.txt"
        file.write_text("weights")
    return file


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("truncated", "half.safetensors"),
        ("wrong keys", "fc1.weight"),
        ("wrong shapes", "fc3.weight"),
        ("other suffix", "safetensors"),
    ],
)
def test_a_bad_checkpoint_is_refused_at_the_start(opened, tmp_path, kind, reason):
    with pytest.raises(EngineError, match=reason):
        opened(model=GREY, checkpoint=bad_checkpoint(kind, tmp_path))


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def started(*options):
    """The command with these options, which are expected to be refused."""
    command = [sys.executable, "app.py", "--port", "0", *map(str, options)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_a_pickle_named_as_a_checkpoint_is_refused_by_the_command_and_not_run(tmp_path):
    file = tmp_path / "model.pt"
    file.write_bytes(pickle.dumps(Payload(tmp_path / "was_run")))
    ended = started("--data-dir", tmp_path / "home", "--model", GREY, "--checkpoint", file)
    assert ended.returncode != 0
    assert "model.pt" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "was_run").exists()


def bad_folder(kind, folder):
    for name in ("a", "b"):
        (folder / name).mkdir()
        for number in range(3):
            Image.new("L", (28, 28), number).save(folder / name / f"{number}.png")
    if kind == "one class":
        (folder / "b").rename(folder / ".b")
    elif kind == "no images":
        for file in (folder / "b").iterdir():
            file.unlink()
    elif kind == "unreadable":
        (folder / "b" / "1.png").write_bytes(b"no picture")
    elif kind == "other format":
        Image.new("L", (28, 28)).save(folder / "b" / "scan.tiff")
    return folder


@pytest.mark.parametrize(
    ("kind", "named"),
    [("one class", "at least two"), ("no images", "b"), ("unreadable", "1.png"), ("other format", "scan.tiff")],
)
def test_a_bad_folder_of_images_is_refused_at_the_start(tmp_path, kind, named):
    (tmp_path / "images").mkdir()
    folder = bad_folder(kind, tmp_path / "images")
    finished = subprocess.Popen([sys.executable, "-c", "pass"])
    options = {"host": "127.0.0.1", "port": 0, "data_dir": tmp_path / "home"}
    options |= {
        "cache_mb": 100,
        "allowed_host": (),
        "datasets_dir": None,
        "model": GREY,
        "checkpoint": None,
        "dataset": None,
    }
    with pytest.raises(click.ClickException, match=named):
        serve(finished, **options, dataset_dir=folder, password=None)


def test_options_that_do_not_fit_together_are_refused(tmp_path):
    assert "give --model too" in started("--dataset", "digits").stderr
    assert "--password" in started("--host", "0.0.0.0").stderr


def test_no_path_is_extracted_before_the_kernels_are_compiled(opened):
    client, services = opened()
    compiled = threading.Event()
    services.choices.hold_extraction(compiled.wait)
    query = "?model=lenet5-digits&image=test:2"
    assert draw(client, cards.ADVERSARIAL, query)[cards.ADVERSARIAL.part("place")]["className"] == "figure-place"
    selection = services.select(query)
    clean = services.inspections.subject(selection.model, selection.image)
    with pytest.raises(Pending):
        services.inspections.path(selection, clean, 1)
    compiled.set()
    assert draw(client, cards.GRAPH, query)[cards.GRAPH.part("place")]["className"] == "figure-place"
