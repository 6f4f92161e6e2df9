"""Union, similarity, density, and files of paths."""

import contextlib
import copy
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import ClassPaths, EffectivePath, Path, aggregate, union
from engine.errors import Cancelled, InvalidInputError
from engine.network.operations import LayerShape
from engine.paths.class_paths import compute_class_paths
from tests.paths.nets import SHAPE, build

CONV = LayerShape(2, 2, 2, 1, 2, 1, 1, n_synapses=14)  # 2 kernels of 2 weights on a 2×2 map, 2 synapses on padding
LINEAR = LayerShape(3, 1, 1, 4, 1, 1, 1, n_synapses=12)
SETS = st.tuples(st.sets(st.integers(0, 15)), st.sets(st.integers(0, 11)))


def make(conv, linear, theta=0.5):
    synapses = {"conv": np.array(sorted(conv), np.int64), "fc": np.array(sorted(linear), np.int64)}
    weights = {"conv": CONV.weight_ids(synapses["conv"]), "fc": synapses["fc"]}
    neurons = {"conv": np.unique(synapses["conv"] // 2), "fc": np.unique(synapses["fc"] // 4)}
    return Path(("conv", "fc"), synapses, weights, neurons, {"conv": CONV, "fc": LINEAR}, theta)


@given(SETS, SETS, SETS)
def test_union_laws(a, b, c):
    x, y, z = make(*a), make(*b), make(*c)
    assert (x | y) == (y | x)
    assert ((x | y) | z) == (x | (y | z)) == union([z, y, x])
    assert (x | x) == x
    assert set((x | y).synapses["conv"].tolist()) == a[0] | b[0]


@given(SETS, SETS)
def test_similarities_are_those_of_the_sets(a, b):
    x, y = make(*a), make(*b)
    mine, theirs = (
        {("c", i) for i in a[0]} | {("l", i) for i in a[1]},
        {("c", i) for i in b[0]} | {("l", i) for i in b[1]},
    )
    if mine | theirs:
        assert x.jaccard(y) == len(mine & theirs) / len(mine | theirs)
    else:
        assert np.isnan(x.jaccard(y))
    if mine:
        assert x.overlap(y) == len(mine & theirs) / len(mine)
    if a[1]:
        assert x.overlap_per_layer(y)["fc"] == len(a[1] & b[1]) / len(a[1])


def test_ids_and_density_by_hand():
    # neuron 5 = channel 1, row 0, column 1; K = 2, so its synapses are 10 and 11, and its weights 2 and 3
    path = make({0, 10, 11}, {0, 5, 11})
    assert path.weights["conv"].tolist() == [0, 2, 3]
    assert path.density() == 6 / 26
    assert path.density("weights") == 6 / 16
    assert path.density_per_layer() == {"conv": 3 / 14, "fc": 3 / 12}


@given(SETS)
def test_a_saved_path_is_read_back(tmp_path_factory, sets):
    file = tmp_path_factory.mktemp("path") / "one.npz"
    path = make(*sets)
    path.save(file)
    assert Path.load(file) == path
    assert [f.name for f in file.parent.iterdir()] == ["one.npz"]


def test_damaged_files_are_refused(tmp_path):
    file = tmp_path / "one.npz"
    make({1}, {2}).save(file)
    whole = file.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"not a path at all"):
        file.write_bytes(damaged)
        with pytest.raises(InvalidInputError, match="expected a file of effective paths"):
            Path.load(file)


def test_paths_of_another_theta_or_model_do_not_mix():
    with pytest.raises(InvalidInputError, match="one θ"):
        make({1}, {1}) | make({1}, {1}, theta=0.6)
    other = Path(
        ("conv",), {"conv": np.array([1])}, {"conv": np.array([1])}, {"conv": np.array([1])}, {"conv": CONV}, 0.5
    )
    with pytest.raises(InvalidInputError, match="same layers"):
        make({1}, {1}).jaccard(other)


@pytest.fixture(scope="module")
def labelled():
    """A random net with images; most labels are its own predictions, every seventh is wrong."""
    model = build("branches")
    images = torch.rand(120, *SHAPE, generator=torch.Generator().manual_seed(0))
    predictions = model(images).argmax(1).numpy()
    labels = np.where(np.arange(120) % 7 == 0, (predictions + 1) % 5, predictions)
    return model, images, labels, predictions == labels


class Images:
    def __init__(self, images, labels):
        self._images, self.labels, self.read = images, labels, 0

    def __len__(self):
        return len(self._images)

    def images(self, indices):
        self.read += len(indices)
        return self._images[torch.as_tensor(indices)]


def test_class_paths_unite_the_correctly_classified(labelled):
    model, images, labels, right = labelled
    class_paths = aggregate(model, images, labels, class_names=tuple("abcde"))
    assert class_paths.counts.sum() == right.sum() < len(images)
    extracted = EffectivePath(model).extract(images)
    for c in set(labels[right].tolist()):
        assert class_paths.paths[c] == union([extracted[n] for n in np.flatnonzero(right & (labels == c))])
    overall = class_paths.overall()
    assert overall.density() == pytest.approx(class_paths.density_growth()[-1])
    matrix = class_paths.similarity()
    assert np.array_equal(matrix, matrix.T, equal_nan=True)


@pytest.mark.parametrize("size", [7, 50, 1000])
def test_any_split_gives_the_same_class_paths(labelled, monkeypatch, size):
    model, images, labels, _ = labelled
    whole = aggregate(model, images, labels, class_names=tuple("abcde"))
    monkeypatch.setattr("engine.paths.aggregation.SHARD", size)
    with ThreadPoolExecutor(2) as pool:
        split = aggregate(model, images, labels, class_names=tuple("abcde"), executor=pool)
    assert split.paths == whole.paths
    assert split.counts.tolist() == whole.counts.tolist()


@pytest.mark.slow
def test_worker_processes_give_the_same_class_paths(labelled):
    model, images, labels, _ = labelled
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = aggregate(model, images, labels, executor=pool)
    assert there.paths == aggregate(model, images, labels).paths


def test_large_layers_are_kept_as_bitmaps(labelled, monkeypatch):
    model, images, labels, _ = labelled
    dense = aggregate(model, images, labels)
    monkeypatch.setattr("engine.paths.aggregation._DENSE_LIMIT", 0)
    assert aggregate(model, images, labels).paths == dense.paths


def test_stopped_work_goes_on_where_it_was(labelled, monkeypatch, tmp_path):
    model, images, labels, _ = labelled
    monkeypatch.setattr("engine.paths.aggregation.SHARD", 20)
    monkeypatch.setattr("engine.paths.class_paths._SAVE_EVERY", -1.0)
    file = tmp_path / "state.npz"

    def stop_half_way(fraction, message):
        if fraction > 0.5:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        compute_class_paths(
            model, Images(images, labels), tuple("abcde"), resume_file=file, workers=1, progress=stop_half_way
        )
    again = Images(images, labels)
    resumed = compute_class_paths(model, again, tuple("abcde"), resume_file=file, workers=1)
    assert again.read < 80  # one image tells the shape; the rest are the shards that were left
    whole = compute_class_paths(model, Images(images, labels), tuple("abcde"), workers=2)
    assert resumed.paths == whole.paths
    assert resumed.counts.tolist() == whole.counts.tolist()
    assert list(tmp_path.iterdir()) == []


def test_class_paths_are_read_back(labelled, tmp_path):
    model, images, labels, _ = labelled
    class_paths = aggregate(model, images, labels, class_names=tuple("abcde"))
    class_paths.save(tmp_path / "classes.npz")
    loaded = ClassPaths.load(tmp_path / "classes.npz")
    assert loaded.paths == class_paths.paths
    assert loaded.class_names == class_paths.class_names
    assert loaded.counts.tolist() == class_paths.counts.tolist()
    EffectivePath(model).extract(images[:1])[0].save(tmp_path / "one.npz")
    with pytest.raises(InvalidInputError, match="expected class paths"):
        ClassPaths.load(tmp_path / "one.npz")


@given(places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_is_an_error_or_harmless(labelled, tmp_path, places):
    model, images, _, _ = labelled
    path, file = EffectivePath(model).extract(images[:1])[0], tmp_path / "path.npz"
    path.save(file)
    data = bytearray(file.read_bytes())
    for place, bit in places:
        data[int(place * len(data))] ^= 1 << bit
    file.write_bytes(data)
    with contextlib.suppress(InvalidInputError):
        assert Path.load(file) == path


@pytest.mark.parametrize("changed", ["weights", "theta", "done", "damaged"])
def test_a_state_of_other_work_is_not_taken_up(labelled, monkeypatch, tmp_path, changed):
    model, images, labels, _ = labelled
    monkeypatch.setattr("engine.paths.aggregation.SHARD", 20)
    monkeypatch.setattr("engine.paths.class_paths._SAVE_EVERY", -1.0)
    file, names = tmp_path / "state.npz", tuple("abcde")

    def stop(fraction, message):
        if fraction > 0.3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        compute_class_paths(model, Images(images, labels), names, resume_file=file, workers=1, progress=stop)
    theta = 0.4 if changed == "theta" else 0.5
    if changed == "weights":
        model = copy.deepcopy(model)
        with torch.no_grad():
            next(model.parameters()).mul_(-1)
    elif changed == "done":
        earlier, about = ClassPaths.load_with_extra(file)
        earlier.save(file, {**about, "done": [0, 99]})
    elif changed == "damaged":
        file.write_bytes(file.read_bytes()[:200])
    resumed = compute_class_paths(model, Images(images, labels), names, theta=theta, resume_file=file, workers=1)
    whole = compute_class_paths(model, Images(images, labels), names, theta=theta, workers=1)
    assert resumed.paths == whole.paths
    assert resumed.counts.tolist() == whole.counts.tolist()


def test_threads_that_share_a_model_in_training_leave_it_as_it_was(labelled, monkeypatch):
    model, images, labels, _ = labelled
    whole = aggregate(model, images, labels)
    monkeypatch.setattr("engine.paths.aggregation.SHARD", 5)
    training = copy.deepcopy(model).train()
    with ThreadPoolExecutor(4) as pool:
        assert aggregate(training, images, labels, executor=pool).paths == whole.paths
    assert all(module.training for module in training.modules())


def test_a_class_without_images_has_no_similarity(labelled):
    model, images, labels, _ = labelled
    class_paths = aggregate(model, images[:1], labels[:1], class_names=tuple("abcde"))
    known = class_paths.counts > 0
    matrix = class_paths.similarity()
    assert np.isnan(matrix[~known]).all()
    assert np.isnan(matrix[:, ~known]).all()
    assert (np.diag(matrix)[known] == 1).all()


def test_parts_have_names(labelled):
    path = EffectivePath(labelled[0]).extract(labelled[1][:1])[0]
    with pytest.raises(InvalidInputError, match="synapses"):
        path.density("synapse")
