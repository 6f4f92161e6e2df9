"""Class paths over a dask cluster whose workers die: nothing is lost, nothing counted twice."""

import os
import signal
import sys
import time
from multiprocessing import get_context
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from engine import ClassPaths, aggregate
from engine.command_line import main
from engine.errors import Cancelled, EngineError, InvalidInputError
from engine.paths import aggregation
from engine.paths import class_paths as state
from engine.paths import cluster as clusters
from engine.paths.aggregation import ShardWork
from engine.paths.class_paths import class_paths_once, compute_class_paths
from engine.paths.cluster import Cluster, connect, connected
from engine.version import VERSION
from tests.paths.labelled import N_IMAGES, NAMES, SHARD, Images, Spoilt, assert_same, make_labelled
from tests.paths.nets import build


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


# What is said when there is no cluster


def test_an_absent_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EngineError, match=r'pip install "distributed>=2025"'):
        connect("tcp://127.0.0.1:8786")
    result = CliRunner().invoke(main, ["classes", "lenet5-mnist", "--dask", "tcp://127.0.0.1:8786"])
    assert result.exit_code == 2
    assert "not installed" in result.output


@pytest.mark.parametrize("address", ["", "localhost", "127.0.0.1:8786", "http://127.0.0.1:8786", "tcp://there"])
def test_an_address_of_another_form_is_refused(address):
    with pytest.raises(InvalidInputError, match="tcp://HOST:PORT"):
        connect(address)
    result = CliRunner().invoke(main, ["classes", "lenet5-mnist", "--dask", address])
    assert result.exit_code == 2
    assert "tcp://HOST:PORT" in result.output


def test_a_scheduler_that_is_not_there_is_named():
    began = time.monotonic()
    with pytest.raises(EngineError, match=r"No dask scheduler answers at tcp://127\.0\.0\.1:9"):
        connect("tcp://127.0.0.1:9", timeout=0.5)
    assert time.monotonic() - began < 10


def test_a_cluster_that_stays_without_workers_is_an_error(monkeypatch):
    threads = {"one": 2, "two": 1}
    cluster = Cluster(SimpleNamespace(nthreads=lambda: threads), "tcp://there:1")
    assert cluster.capacity() == 3
    threads.clear()
    assert cluster.capacity() == 1  # a nanny starts another
    monkeypatch.setattr(clusters, "WORKERS_WITHIN", -1.0)
    with pytest.raises(EngineError, match="python -m dask worker tcp://there:1"):
        cluster.capacity()


@pytest.mark.parametrize(
    ("answer", "said"),
    [("other", "has version other"), (ModuleNotFoundError("No module named 'engine'"), "cannot import the engine")],
)
def test_a_worker_without_this_engine_is_named(answer, said):
    def cluster(answer):
        return Cluster(SimpleNamespace(run=lambda *args, **kwargs: {"tcp://here:2": answer}), "tcp://there:1")

    cluster(VERSION).check_workers()
    cluster(OSError("gone")).check_workers()
    with pytest.raises(EngineError, match=f"tcp://here:2 {said}"):
        cluster(answer).check_workers()


@pytest.mark.parametrize("verb", ["classes", "detect fit", "detect evaluate", "detect sweep"])
def test_verbs_that_need_class_paths_take_a_cluster(verb):
    assert "--dask ADDRESS" in CliRunner().invoke(main, [*verb.split(), "--help"]).output


def test_the_server_computes_class_paths_where_its_settings_say(monkeypatch, tmp_path):
    from dashboard.services import class_paths
    from dashboard.settings import Settings

    def once(*args, cluster, **kwargs):
        raise EngineError(f"asked {cluster}")

    monkeypatch.setattr(class_paths, "class_paths_once", once)
    classifier = SimpleNamespace(module=build("strided"), classes=NAMES, key="k", require_sound=lambda: None)
    loaded = SimpleNamespace(classifier=classifier, dataset=SimpleNamespace(train=None, key="d"))
    classifiers = SimpleNamespace(get=lambda model: loaded, wait_for_kernels=lambda: None)
    settings = Settings(tmp_path, dask="tcp://there:1")
    paths = class_paths.NormalPaths(classifiers, tmp_path, 10**9, settings.dask)
    work = paths.ask("m", 0.5)
    until = time.monotonic() + 20
    while work.error is None and time.monotonic() < until:
        time.sleep(0.01)
    assert work.error == "asked tcp://there:1"
    with pytest.raises(InvalidInputError, match="tcp://HOST:PORT"):
        class_paths.NormalPaths(classifiers, tmp_path, 10**9, "there")


# A cluster of processes


@pytest.fixture(scope="module")
def local():
    """A scheduler in this process, and two workers in their own, each started again by its nanny when it dies."""
    from distributed import LocalCluster

    with LocalCluster(processes=True, n_workers=2, threads_per_worker=1, dashboard_address=":0") as started:
        yield started


@pytest.fixture
def cluster(local):
    with connected(local.scheduler_address, timeout=60) as connection:
        yield connection
        wait_for(lambda: not local.scheduler.tasks)  # nothing is left there, however a test ended


def wait_for(condition, seconds=30.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


class Listener:
    """A progress callback that kills workers half way, and remembers what it was told."""

    def __init__(self, victims=()):
        self.fractions, self._victims = [], list(victims)

    def __call__(self, fraction, message):
        self.fractions.append(fraction)
        if fraction > 0.4:
            while self._victims:
                os.kill(self._victims.pop(), signal.SIGKILL)

    def assert_monotone(self):
        assert self.fractions == sorted(self.fractions)
        assert self.fractions[0] == 0.0
        assert self.fractions[-1] == 1.0
        assert len(set(self.fractions)) == N_IMAGES // SHARD + 1


def workers_of(local):
    wait_for(lambda: len(local.scheduler.workers) == 2, 90.0)
    return [nanny.pid for nanny in local.workers.values()]


@pytest.mark.slow
@pytest.mark.parametrize("n_killed", [0, 1, 2])
def test_a_cluster_gives_the_same_even_when_workers_are_killed(local, cluster, model, labelled, whole, n_killed):
    victims = workers_of(local)[:n_killed]
    listener = Listener(victims)
    image_set = Images(*labelled)
    found = compute_class_paths(model, image_set, NAMES, executor=cluster, progress=listener)
    assert_same(found, whole)
    assert image_set.read == N_IMAGES + 1  # each once, and one that tells the shape
    listener.assert_monotone()
    wait_for(lambda: not set(victims) & set(workers_of(local)))  # they were killed indeed, and others came


@pytest.mark.slow
def test_the_model_is_sent_once_and_shards_are_sent_as_eight_bits(cluster, model, labelled, monkeypatch):
    sent, submitted = [], []
    reduce, submit = ShardWork.__reduce__, Cluster.submit
    monkeypatch.setattr(ShardWork, "__reduce__", lambda self: sent.append(self) or reduce(self))
    monkeypatch.setattr(Cluster, "submit", lambda self, *args: submitted.append(args) or submit(self, *args))
    compute_class_paths(model, Images(*labelled), NAMES, executor=cluster)
    assert len(sent) == 1
    assert len(submitted) == N_IMAGES // SHARD
    assert all(images.dtype == np.uint8 for _, _, images, _ in submitted)


@pytest.mark.slow
def test_images_in_memory_over_a_cluster_and_over_dask_s_own_executor(cluster, model, labelled, whole):
    images = Images(*labelled).images(np.arange(N_IMAGES))
    assert_same(aggregate(model, images, labelled[1], class_names=NAMES, executor=cluster), whole)
    own = cluster._client.get_executor()
    assert_same(aggregate(model, images, labelled[1], class_names=NAMES, executor=own), whole)


@pytest.mark.slow
def test_the_error_of_a_shard_arrives(cluster, model, labelled, whole):
    with pytest.raises(InvalidInputError, match=r"expected values from 0 to 1; got .* to 2"):
        compute_class_paths(model, Spoilt(*labelled), NAMES, executor=cluster)
    assert_same(compute_class_paths(model, Images(*labelled), NAMES, executor=cluster), whole)


@pytest.mark.slow
def test_stopped_work_frees_the_cluster_and_goes_on_where_it_was(
    local, cluster, model, labelled, whole, tmp_path, monkeypatch
):
    monkeypatch.setattr("engine.paths.class_paths._SAVE_EVERY", -1.0)
    file = tmp_path / "classes.npz"

    def stop(fraction, message):
        if fraction > 0.5:
            raise Cancelled("stopped")

    address = local.scheduler_address
    with pytest.raises(Cancelled):
        class_paths_once(model, Images(*labelled), NAMES, file=file, cluster=address, progress=stop)
    wait_for(lambda: not local.scheduler.tasks)
    again = Images(*labelled)
    assert_same(class_paths_once(model, again, NAMES, file=file, cluster=address), whole)
    assert again.read <= N_IMAGES // 2
    assert [each.name for each in tmp_path.iterdir()] == [file.name]
    assert_same(ClassPaths.load(file), whole)
    assert_same(class_paths_once(model, again, NAMES, file=file, cluster="tcp://127.0.0.1:9"), whole)  # not called


def _ask_and_die(address, file):
    """A client of its own process, killed half way."""

    def kill(fraction, message):
        if fraction > 0.5:
            os.kill(os.getpid(), signal.SIGKILL)

    model = build("branches")
    aggregation.SHARD, state._SAVE_EVERY = SHARD, -1.0
    class_paths_once(model, Images(*make_labelled(model)), NAMES, file=file, cluster=address, progress=kill)


@pytest.mark.slow
def test_a_client_that_is_killed_leaves_a_free_cluster_and_work_to_go_on_with(
    local, cluster, model, labelled, whole, tmp_path
):
    file, address = tmp_path / "classes.npz", local.scheduler_address
    client = get_context("spawn").Process(target=_ask_and_die, args=(address, file))
    client.start()
    client.join(100)
    assert client.exitcode == -signal.SIGKILL
    wait_for(lambda: not local.scheduler.tasks)
    again = Images(*labelled)
    assert_same(class_paths_once(model, again, NAMES, file=file, cluster=address), whole)
    assert 1 < again.read <= N_IMAGES // 2 + 1


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_shard_that_kills_its_workers_is_given_up(local, cluster, monkeypatch):
    monkeypatch.setattr(local.scheduler, "allowed_failures", 0)
    with pytest.raises(EngineError, match="Most often memory ran out"):
        cluster.submit(_die).result(60)
    workers_of(local)


@pytest.mark.slow
def test_a_worker_that_cannot_import_the_work_says_what_to_do(cluster):
    with pytest.raises(EngineError, match="in this program's folder"):
        cluster.submit(__import__, "no_such_module").result(60)


@pytest.mark.slow
def test_a_cluster_without_workers_and_one_that_ends_are_told(model, labelled):
    from distributed import LocalCluster

    with LocalCluster(processes=True, n_workers=0, threads_per_worker=1, dashboard_address=":0") as started:
        with pytest.raises(EngineError, match="has had no worker for"):
            connect(started.scheduler_address, timeout=1)
        started.scale(1)
        started.wait_for_workers(1, timeout=90)

        def end(fraction, message):
            if fraction > 0.2:
                started.close()

        with (
            connected(started.scheduler_address, timeout=2) as connection,
            pytest.raises(EngineError, match=f"at {started.scheduler_address}"),
        ):
            compute_class_paths(model, Images(*labelled), NAMES, executor=connection, progress=end)
