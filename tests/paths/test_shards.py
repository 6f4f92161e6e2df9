"""Shards over threads and processes: what travels, how many are handed out, and what is said when workers go."""

import os
import pickle
import tempfile
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine import aggregate
from engine.errors import Cancelled, EngineError, InvalidInputError
from engine.paths import shards
from engine.paths.aggregation import ShardWork
from engine.paths.class_paths import compute_class_paths
from engine.paths.packing import pack_images, pack_paths, unpack_images, unpack_paths
from engine.paths.shards import opened, run_shards, shared
from tests.paths.labelled import N_IMAGES, NAMES, SHARD, Images, Spoilt, assert_same, make_labelled
from tests.paths.nets import SHAPE, build
from tests.paths.test_path import SETS, make


@pytest.fixture(scope="module")
def model():
    return build("branches")


@pytest.fixture(scope="module")
def labelled(model):
    return make_labelled(model)


@pytest.fixture(scope="module")
def whole(model, labelled):
    return compute_class_paths(model, Images(*labelled), NAMES, workers=1)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr("engine.paths.aggregation.SHARD", SHARD)


# What travels


@given(st.lists(SETS, min_size=1, max_size=3))
def test_packed_paths_are_the_same_paths(sets):
    paths = tuple(make(*each) for each in sets)
    unpacked = unpack_paths(pack_paths(paths))
    assert unpacked == paths
    assert all(path.weights[layer].dtype == np.int64 for path in unpacked for layer in path.layers)


def test_class_paths_pickle_to_fewer_bytes_than_their_ids_have(whole):
    content = pickle.dumps(whole)
    assert_same(pickle.loads(content), whole)
    n_ids = sum(len(ids) for path in whole.paths for part in (path.synapses, path.neurons) for ids in part.values())
    assert len(content) < 3 * n_ids + 4000  # as int64 the synapses and neurons alone take 8 bytes each


def test_images_travel_as_eight_bits_only_where_that_loses_nothing(labelled):
    of_bits = labelled[0].float().div_(255.0)
    assert pack_images(of_bits).dtype == np.uint8
    others = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(1))
    assert pack_images(others).dtype == np.float32
    for images in (of_bits, others, torch.full((1, *SHAPE), float("nan")), torch.full((1, *SHAPE), 300.0)):
        assert torch.equal(unpack_images(pack_images(images)).nan_to_num(-1), images.nan_to_num(-1))


def test_a_worker_of_another_version_is_refused(model):
    rebuild, (*settings, version) = ShardWork(model, 0.5, None, NAMES).__reduce__()
    assert rebuild(*settings, version).class_names == NAMES
    with pytest.raises(InvalidInputError, match="version other"):
        rebuild(*settings, "other")


# Any executor


@pytest.mark.parametrize("capacity", [1, 3])
def test_only_a_few_shards_are_handed_out_at_once_and_closing_cancels_them(capacity):
    handed = {}

    def submit(index):
        handed[index] = Future()
        if index < 5:
            handed[index].set_result(index * index)
        return handed[index]

    with closing(run_shards(submit, range(100), lambda: capacity)) as results:
        assert dict(next(results) for _ in range(5)) == {0: 0, 1: 1, 2: 4, 3: 9, 4: 16}
        assert len(handed) <= 5 + 2 * capacity
    assert all(future.cancelled() for index, future in handed.items() if index >= 5)


def test_somebody_hears_from_work_that_takes_long_and_can_stop_it(monkeypatch):
    monkeypatch.setattr(shards, "_MEANWHILE_EVERY", 0.01)

    def stop():
        raise Cancelled("stopped")

    future = Future()
    with pytest.raises(Cancelled):
        next(run_shards(lambda index: future, [0], lambda: 1, stop))
    assert future.cancelled()


def test_lost_workers_are_an_error_that_says_what_to_do():
    future = Future()
    future.set_exception(BrokenExecutor("died."))
    with pytest.raises(EngineError, match="use fewer workers"):
        next(run_shards(lambda index: future, [0], lambda: 1))
    cancelled = Future()
    cancelled.cancel()
    cancelled.set_running_or_notify_cancel()
    with pytest.raises(EngineError, match="Give it the work again"):
        next(run_shards(lambda index: cancelled, [0], lambda: 1))


def test_a_pool_found_broken_when_a_shard_is_handed_out_is_told_likewise():
    def submit(index):
        raise BrokenProcessPool("A child process terminated abruptly, the process pool is not usable anymore")

    with pytest.raises(EngineError, match=r"not usable anymore\)\. Most often memory ran out; use fewer workers"):
        next(run_shards(submit, [0], lambda: 1))

    def read(index):
        raise RuntimeError("of the images")

    with pytest.raises(RuntimeError, match="of the images"):
        next(run_shards(read, [0], lambda: 1))


# What all shards have in common, over processes


class Noted:
    """A value that notes in a folder which process unpickled it."""

    def __init__(self, folder, ballast=b""):
        self.folder, self.ballast = folder, ballast

    def __reduce__(self):
        return _noted, (self.folder, self.ballast)


def _noted(folder, ballast):
    handle, _ = tempfile.mkstemp(prefix=f"{os.getpid()}-", dir=folder)
    os.close(handle)
    return Noted(folder, ballast)


def _length(given, index):
    return index, len(opened(given).ballast), os.getpid()


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary files are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


def share_among_processes(method, notes, temporary):
    value = Noted(str(notes), bytes(1_000_000))
    with ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
        for _ in range(2):  # the pool stays, and knows the value the second time
            with shared(pool, value) as there:
                assert len(pickle.dumps(there)) < 500
                (file,) = temporary.iterdir()
                assert file.stat().st_mode & 0o077 == 0, "a model is nobody else's business"
                found = [pool.submit(_length, there, index) for index in range(12)]
                assert [future.result()[:2] for future in found] == [(index, 1_000_000) for index in range(12)]
            assert not list(temporary.iterdir())
        workers = {future.result()[2] for future in found}
        opened_by = [int(name.partition("-")[0]) for name in os.listdir(notes)]
        assert len(opened_by) == len(set(opened_by)) <= 2, "once each"
        assert workers <= set(opened_by)


def test_what_all_shards_have_in_common_goes_to_each_process_once(notes, temporary):
    share_among_processes("fork", notes, temporary)


@pytest.mark.slow
def test_the_same_with_processes_that_were_spawned(notes, temporary):
    share_among_processes("spawn", notes, temporary)


def test_the_file_is_gone_whatever_ends_the_work(temporary):
    def work(error):
        with ProcessPoolExecutor(1) as pool, shared(pool, 1):  # no process is started before there is a task
            assert len(list(temporary.iterdir())) == 1
            raise error

    for error in (Cancelled("stopped"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            work(error)
        assert not list(temporary.iterdir())


def test_other_executors_need_no_file(temporary):
    with ThreadPoolExecutor(1) as pool, shared(pool, [1, 2]) as there:
        assert not list(temporary.iterdir())
        assert pool.submit(opened, pickle.loads(pickle.dumps(there))).result() == [1, 2]


def test_without_room_for_a_file_the_value_travels_with_each_shard(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    with ProcessPoolExecutor(1) as pool, shared(pool, [1, 2]) as there:
        assert opened(pickle.loads(pickle.dumps(there))) == [1, 2]
    assert "travels with each shard" in caplog.text


@pytest.mark.parametrize(("damage", "said"), [(os.remove, "give it the work again"), (None, "something else was put")])
def test_a_file_that_is_gone_or_another_is_told(temporary, damage, said):
    with ProcessPoolExecutor(1) as pool, shared(pool, ["never opened", said]) as there:
        (file,) = temporary.iterdir()
        if damage is None:
            file.write_bytes(pickle.dumps("something else"))
        else:
            damage(file)
        with pytest.raises(EngineError, match=said):
            opened(there)


def test_threads_of_somebody_else_give_the_same_and_stay_open(model, labelled, whole):
    with ThreadPoolExecutor(2) as pool:
        assert_same(compute_class_paths(model, Images(*labelled), NAMES, executor=pool, workers=2), whole)
        with pytest.raises(InvalidInputError, match="expected values from 0 to 1"):
            compute_class_paths(model, Spoilt(*labelled), NAMES, executor=pool, workers=2)
        assert pool.submit(int).result() == 0


def test_a_model_that_cannot_be_sent_is_refused(labelled):
    odd = build("branches")
    odd.activation = lambda x: x
    with ThreadPoolExecutor(1) as pool, pytest.raises(InvalidInputError, match="at the top of a module"):
        compute_class_paths(odd, Images(*labelled), NAMES, executor=pool)


@pytest.mark.slow
def test_spawned_processes_give_the_same(model, labelled, whole):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert_same(compute_class_paths(model, Images(*labelled), NAMES, executor=pool, workers=2), whole)
        images = Images(*labelled).images(np.arange(N_IMAGES))
        assert_same(aggregate(model, images, labelled[1], class_names=NAMES, executor=pool), whole)
        with pytest.raises(InvalidInputError, match="expected values from 0 to 1"):
            compute_class_paths(model, Spoilt(*labelled), NAMES, executor=pool, workers=2)


@pytest.mark.slow
def test_a_process_that_dies_is_told(model, labelled):
    def kill(fraction, message):
        if fraction > 0.2:
            for process in pool._processes.values():
                process.kill()

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.raises(EngineError, match="use fewer workers"):
            compute_class_paths(model, Images(*labelled), NAMES, executor=pool, workers=1, progress=kill)
        with pytest.raises(EngineError, match="use fewer workers"):  # this time when the first shard is handed out
            compute_class_paths(model, Images(*labelled), NAMES, executor=pool, workers=1)
