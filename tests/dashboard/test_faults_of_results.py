"""The faults of care.md that concern results, under the production server and with the kinds of job that it has."""

import base64
import io
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.network.classifiers import load_classifier
from tests.dashboard.faults import REAL_KINDS, served, submitting
from tests.dashboard.jobs.conftest import ended, until

pytestmark = pytest.mark.slow
MODEL = "lenet5-digits"


def study(queue, **settings):
    """The finished job of a small study."""
    asked = {"model": MODEL, "weights": load_classifier(MODEL).key, "theta": 0.5, "seed": 3, "attacks": "pgd_linf"}
    asked |= {"detectors": "random_forest", "sweeps": "", "images": 20, "share": 0.5} | settings
    done = ended(queue, queue.submit("detection", asked, label="A small study"), 240)
    assert done.state == "done", queue.log(done.id)
    return done


def without_seconds(value):
    """A report without how long things took."""
    if isinstance(value, dict):
        return {name: without_seconds(one) for name, one in value.items() if "second" not in name}
    return [without_seconds(one) for one in value] if isinstance(value, list) else value


def arrays(file):
    with np.load(file) as archive:
        return {name: archive[name] for name in archive.files}


def test_caches_of_garbage_are_set_aside_and_computed_again(tmp_path, monkeypatch):
    queue, cache = submitting(tmp_path, monkeypatch, REAL_KINDS), tmp_path / "cache"
    with served(tmp_path, kinds=REAL_KINDS) as browser:
        first = study(queue)
        before = until(lambda: summary(browser))
    files = {file: arrays(file) for file in cache.rglob("*.npz")}
    assert len(files) == 3, "class paths, their survey and one attack"
    for file in [*files, *cache.rglob("*.json")]:
        file.write_bytes(b"\x07 this is no result " * 100)
    with served(tmp_path, kinds=REAL_KINDS) as browser:
        assert until(lambda: summary(browser), 120) == before
        assert len(list(cache.glob("class-paths/*.damaged"))) == 1
        second = study(queue, detectors="random_forest,ada_boost")
        for file, sound in files.items():
            again = arrays(file)
            assert all(np.array_equal(again[name], array) for name, array in sound.items())
        reports = [json.loads((queue.result(job) / "study.json").read_text()) for job in (first, second)]
        assert reports[0]["attacks"] == reports[1]["attacks"]
        assert "Class paths" not in browser.told(second)
        browser.unharmed()
    assert "class paths again" in (tmp_path / "server.log").read_text()


def test_the_same_seed_gives_the_same_result_whatever_the_number_of_workers(tmp_path, monkeypatch):
    reports, kept = [], []
    for processors in (2, 4, 2):
        home = tmp_path / str(len(reports))
        home.mkdir()
        queue = submitting(home, monkeypatch, REAL_KINDS)
        with served(home, kinds=REAL_KINDS, processors=processors) as browser:
            job = study(queue, detectors="joint_similarity,random_forest")
            reports.append(without_seconds(json.loads((queue.result(job) / "study.json").read_text())))
            kept.append([arrays(file) for file in sorted((home / "cache").rglob("*.npz"))])
            browser.unharmed()
    assert reports[0] == reports[1] == reports[2]
    for other in kept[1:]:  # class paths, their survey and attacked images
        assert len(other) == len(kept[0]) == 3
        for mine, theirs in zip(kept[0], other, strict=True):
            assert all(np.array_equal(array, theirs[name]) for name, array in mine.items())


@pytest.fixture
def protected():
    """A data directory that its server cannot write, and how to start that server: the administrator may write it."""
    prefix = []
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("the administrator writes everywhere, and there is no setpriv to take that right away")
        prefix = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", "--"]
    with tempfile.TemporaryDirectory() as name:
        yield Path(name), prefix
        Path(name).chmod(0o755)


@pytest.mark.parametrize("what", ["data directory", "cache"])
def test_a_server_that_cannot_write_starts_without_a_cache_and_says_so(protected, tmp_path, what):
    home, prefix = protected
    (home / "server.log").touch()
    if what == "cache":
        (home / "cache").mkdir()
    (home / "cache" if what == "cache" else home).chmod(0o555)
    with served(home, kinds=REAL_KINDS, prefix=prefix, TMPDIR=str(tmp_path)) as browser:
        said = browser.ask("GET", "/_dash-layout")[1]
        assert "Working without a cache" in said
        assert "Make it writable, or start with another --data-dir." in said
        assert "There are no jobs yet" in browser.opened("/jobs")
        assert "Two classes share" in until(lambda: summary(browser), 120)
        assert browser.order("cancel", "0" * 32)[0] == 404
        if what == "data directory":
            assert "cannot be kept on the server's disk" in uploaded(browser)
        browser.unharmed()
    assert not list(tmp_path.glob("detour-*"))
    assert "Working without a cache" in (home / "server.log").read_text()


def uploaded(browser):
    """What the Inspect page says of a dropped image."""
    buffer = io.BytesIO()
    Image.new("L", (28, 28)).save(buffer, "PNG")
    contents = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    status, answer = browser.update(
        [("inspect-uploaded", "data"), ("inspect-upload-note", "children")],
        [("inspect-upload", "contents", contents)],
        [("inspect-upload", "filename", "picture.png")],
    )
    assert status == 200, answer
    return str(answer)


def summary(browser):
    """What the Classes page sums up, once its class paths are there."""
    names = ("summary", "matrix-note", "pair-numbers", "pair-examples", "pair-choice")
    outputs = [*[(f"classes-{name}", "children") for name in names], ("classes-shown-pair", "data")]
    inputs = [("classes-selection", "data", f"?model={MODEL}"), ("classes-paths", "data", None)]
    status, answer = browser.update(
        outputs, inputs, [("classes-first", "value", None), ("classes-second", "value", None)]
    )
    assert status == 200, answer
    return str(answer["response"]["classes-summary"]["children"] or "")
