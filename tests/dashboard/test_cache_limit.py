"""The cache on disk stays within its limit; what was used longest ago makes room."""

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from app import main
from dashboard.services import EXTENSION, cache_limit
from dashboard.services.cache_limit import HALF_WAY_S, IN_USE_S, make_room, making_room, notice
from dashboard.services.class_paths import MARKED_EVERY_S
from dashboard.services.jobs.queue import JobQueue
from dashboard.settings import Settings
from engine.attacks.catalogue import attacks
from engine.attacks.results import attack_once
from engine.datasets.catalogue import load_dataset
from engine.files import PARTIAL, STATE, mark_used
from engine.network.classifiers import load_classifier
from engine.paths.class_paths import class_paths_once
from tests.dashboard.jobs.conftest import KINDS, ended


def put(path, size, age):
    """A file of so many bytes, used so many seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    used = time.time_ns() - int(age * 1e9)
    os.utime(path, ns=(used, used))
    return path


FOLDERS = ("", "class-paths", "attacks", "later/deeper")
FILES = st.lists(
    st.tuples(st.sampled_from(FOLDERS), st.sampled_from(("", PARTIAL, STATE)), st.integers(0, 500)), max_size=12
)


@settings(max_examples=80, deadline=None)
@given(files=FILES, limit=st.integers(0, 2000), half_way_age=st.sampled_from((1, HALF_WAY_S + 30)))
def test_what_remains_is_within_the_limit_and_was_used_last(files, limit, half_way_age):
    with tempfile.TemporaryDirectory() as name:
        cache, made, guarded = Path(name), [], []
        for index, (folder, suffix, size) in enumerate(files):
            age = half_way_age + index / 100 if suffix else 5 + 100 * index
            path = put(cache / folder / f"{index}{suffix}", size, age)
            (guarded if suffix and half_way_age < HALF_WAY_S else made).append((age, size, path))
        make_room(cache, limit)
        large = sorted(one for one in made if one[1] > limit)
        assert [one for one in large if one[2].exists()] == large[:1], "the one that was used last"
        made = sorted(one for one in made if one not in large)
        kept = [one for one in made if one[2].exists()]
        assert all(path.exists() for *_, path in guarded)
        assert kept == made[: len(kept)], "the newest"
        held = sum(size for _, size, _ in guarded if size <= limit)
        total = sum(size for _, size, _ in kept) + held
        assert total <= max(limit, held)
        if len(kept) < len(made):
            assert total + made[len(kept)][1] > limit, "no more than must be is deleted"


def test_a_cache_within_its_limit_stays_as_it_is(tmp_path):
    old, new = put(tmp_path / "attacks" / "old", 50, 1e7), put(tmp_path / "new", 50, 10)
    make_room(tmp_path, 100)
    assert old.exists()
    make_room(tmp_path, 99)
    assert new.exists()
    assert not old.exists()
    assert old.parent.is_dir()
    make_room(tmp_path / "not there", 0)


def test_what_was_read_is_kept_longer_than_what_was_written_later(tmp_path):
    read, written = put(tmp_path / "read", 10, 100), put(tmp_path / "written", 10, 50)
    mark_used(read)
    make_room(tmp_path, 15)
    assert read.exists()
    assert not written.exists()


def test_files_that_vanish_or_cannot_be_deleted_are_no_error(tmp_path, monkeypatch):
    stubborn, gone, last = (put(tmp_path / name, 10, age) for name, age in (("a", 30), ("b", 20), ("c", 10)))
    unlink = Path.unlink

    def failing(path, missing_ok=False):
        if path == stubborn:
            raise PermissionError
        unlink(gone)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", failing)
    make_room(tmp_path, 20)
    assert [stubborn.exists(), gone.exists(), last.exists()] == [True, False, True]


def test_files_of_one_stem_stay_or_go_together(tmp_path):
    paths = [put(tmp_path / "class-paths" / name, 30, age) for name, age in (("a.npz", 90), ("a.survey.npz", 80))]
    bands = put(tmp_path / "class-paths" / "a.json", 1, 5)
    namesake = put(tmp_path / "attacks" / "a.npz", 30, 40)
    put(tmp_path / "b.npz", 30, 20)
    make_room(tmp_path, 100)
    assert all(path.exists() for path in [*paths, bands])
    assert not namesake.exists(), "used later than the paths, but not than the bands beside them"
    for path in [*paths, bands]:
        os.utime(path, (1, 1))
    make_room(tmp_path, 90)
    assert not any(path.exists() for path in [*paths, bands])
    assert (tmp_path / "b.npz").exists()


def test_what_was_set_aside_does_not_live_on_with_what_took_its_place(tmp_path):
    whole, damaged = put(tmp_path / "a.npz", 60, 5), put(tmp_path / "a.damaged", 60, 50)
    make_room(tmp_path, 100)
    assert [whole.exists(), damaged.exists()] == [True, False]


@pytest.fixture
def said(caplog, monkeypatch):
    """What was logged of caches, from now on."""
    monkeypatch.setattr(cache_limit, "_logged", set())
    return lambda: [record.getMessage() for record in caplog.records if record.name == cache_limit.__name__]


def test_a_result_that_alone_is_above_the_limit_stays_while_it_is_in_use(tmp_path, said):
    limit = 3 * 2**20
    large, bands = (
        put(tmp_path / "class-paths" / "a.npz", 2 * limit, 50),
        put(tmp_path / "class-paths" / "a.json", 9, 50),
    )
    others = [put(tmp_path / "attacks" / str(age), limit // 2, age) for age in (1, 100, 200)]
    for _ in range(3):
        make_room(tmp_path, limit)
    assert large.exists()
    assert bands.exists()
    assert [path.exists() for path in others] == [True, True, False], "the others have the limit to themselves"
    assert len(said()) == 1
    for part in ("class-paths/a.npz", "limit of 3 MB", "takes 6 MB", "--cache-mb 10 or more"):
        assert part in said()[0]
    assert notice(tmp_path) == said()[0]
    make_room(tmp_path, 10 * 2**20)
    assert notice(tmp_path) == ""


def test_of_several_above_the_limit_only_the_one_used_last_stays(tmp_path):
    one, other = put(tmp_path / "a.npz", 200, 50), put(tmp_path / "b.npz", 300, 20)
    mark_used(one)
    make_room(tmp_path, 100)
    assert [one.exists(), other.exists()] == [True, False]


def test_one_above_the_limit_that_nobody_uses_any_more_goes(tmp_path):
    large = put(tmp_path / "a.npz", 200, IN_USE_S + 60)
    make_room(tmp_path, 100)
    assert not large.exists()
    assert notice(tmp_path) == ""


def test_a_state_above_the_limit_is_resumed_from_and_drives_nothing_out(tmp_path, said):
    other = put(tmp_path / "b.npz", 90, 500)
    for age in (5, HALF_WAY_S + 60):
        state = put(tmp_path / f"a{STATE}", 200, age)
        make_room(tmp_path, 100)
        assert state.exists()
        assert other.exists()
    put(tmp_path / f".a{STATE}.x1{PARTIAL}", 200, 1)
    make_room(tmp_path, 100)
    assert len(said()) == 1


def test_several_may_make_room_at_once(tmp_path):
    for index in range(300):
        put(tmp_path / str(index), 10, index)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: make_room(tmp_path, 500), range(16)))
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == list(range(50))


def test_long_work_makes_room_now_and_then(tmp_path, monkeypatch):
    told = []
    report = making_room(lambda *report: told.append(report), tmp_path, 10)
    kept = [put(tmp_path / "a", 10, 10), put(tmp_path / "b", 10, 20)]
    report(0.1, "first")
    assert all(path.exists() for path in kept)
    monkeypatch.setattr(cache_limit, "LOOK_EVERY_S", 0.0)
    report(0.2, "second")
    assert [path.exists() for path in kept] == [True, False]
    assert told == [(0.1, "first"), (0.2, "second")]


@pytest.mark.parametrize(("limit", "memory"), [(50, 12.5), (1000, 250), (1_000_000, 256)])
def test_memory_takes_a_quarter_and_not_more_than_256_mb(limit, memory):
    assert Settings(data_dir=Path(), cache_bytes=limit * 2**20).memory_bytes == memory * 2**20


def normal(services, theta=0.5):
    """The class paths, once they are there."""
    end = time.monotonic() + 60
    while not (work := services.normal_paths.ask("lenet5-digits", theta)).normal:
        assert time.monotonic() < end, work.error or work.message
        time.sleep(0.05)
    return work


def test_the_server_keeps_its_class_paths_within_the_limit(new_app, tmp_path):
    cache = tmp_path / "cache"
    stranger, *made = (put(tmp_path / place, 300_000, 1e6) for place in ("cache/attacks/old", "jobs/x", "models/y"))
    services = new_app(cache_bytes=300_000).server.extensions[EXTENSION]
    work = normal(services)
    end = time.monotonic() + 20
    while stranger.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    assert all(file.exists() for file in work.files)
    assert sum(file.stat().st_size for file in cache.rglob("*") if file.is_file()) <= 300_000
    assert all(path.exists() for path in made), "what people made is not in the cache"


def test_class_paths_above_the_limit_are_not_computed_again_and_the_pages_say_so(new_app):
    first = new_app()
    normal(first.server.extensions[EXTENSION])
    layout = first.server.test_client().get("/_dash-layout").text
    assert "--cache-mb" not in layout
    limit = 1000
    app = new_app(cache_bytes=limit)
    services = app.server.extensions[EXTENSION]
    work = normal(services)
    file, bands = work.files[:2]
    written = file.stat().st_ino
    assert file.stat().st_size > limit
    client = app.server.test_client()
    end = time.monotonic() + 20
    while "paths-" not in (layout := client.get("/_dash-layout").text):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert "start with --cache-mb" in layout
    again = normal(new_app(cache_bytes=limit).server.extensions[EXTENSION])
    assert again.files == work.files
    assert file.stat().st_ino == written, "read, not computed again"
    assert bands.exists()


def test_files_of_what_pages_look_at_count_as_used(new_app):
    services = new_app().server.extensions[EXTENSION]
    work = normal(services)
    for file in work.files:
        os.utime(file, (1, 1))
    normal(services)
    assert {file.stat().st_mtime for file in work.files} == {1}, "not at each look"
    work.marked -= MARKED_EVERY_S + 1
    normal(services)
    assert all(time.time() - file.stat().st_mtime < 60 for file in work.files)


def test_attacks_and_class_paths_that_are_read_count_as_used(tmp_path):
    classifier, digits = load_classifier("lenet5-digits"), load_dataset("digits")
    images, labels = digits.test.images(range(4)), digits.test.labels[:4]

    def use():
        attack_once(attacks["fgsm"].create(), classifier.module, images, torch.tensor(labels), folder=tmp_path)
        class_paths_once(
            classifier.module, digits.train, classifier.classes, file=tmp_path / "paths.npz", theta=0.5, limit=20
        )

    use()
    files = list(tmp_path.iterdir())
    assert len(files) == 2
    for file in files:
        os.utime(file, (1, 1))
    use()
    assert all(time.time() - file.stat().st_mtime < 60 for file in files)


def test_a_job_makes_room_when_it_ends(tmp_path):
    old = put(tmp_path / "cache" / "attacks" / "old", 2000, 1e6)
    jobs = JobQueue.embedded(Settings(data_dir=tmp_path, cache_bytes=1000), kinds=KINDS)
    try:
        done = ended(jobs, jobs.submit("quick", {"n": 1}, label="quick"))
        assert done.state == "done"
        assert not old.exists()
        assert (jobs.result(done) / "deep" / "answer.txt").exists()
    finally:
        jobs.close()


@pytest.mark.parametrize("given", ["49", "1000001", "much"])
def test_a_limit_out_of_range_is_refused(given):
    answer = CliRunner().invoke(main, ["--cache-mb", given])
    assert answer.exit_code == 2
    assert "--cache-mb" in answer.output
