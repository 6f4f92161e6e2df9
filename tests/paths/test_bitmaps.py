"""Ids as roaring bitmaps, their union in any split and order, and the file of class paths read piece by piece."""

import contextlib
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import ClassPaths, EffectivePath, Path, aggregate
from engine.errors import Cancelled, InvalidInputError
from engine.network.operations import LayerShape
from engine.paths import bitmap_file
from engine.paths.aggregation import Union, is_large
from engine.paths.bitmap_store import ClassPathStore
from engine.paths.bitmaps import BitmapIds, RoaringSet, bitmap_of, ids_of, is_wide
from engine.paths.class_paths import class_paths_once, compute_class_paths
from tests.paths.nets import SHAPE, build
from tests.paths.test_path import Images

CONV = LayerShape(2, 2, 2, 1, 2, 1, 1, n_synapses=14)  # 2 kernels of 2 weights on a 2×2 map, 2 synapses on padding
WIDE = LayerShape(1 << 16, 64, 64, 256, 3, 3, 1, n_synapses=1 << 39)  # ids up to 6·10¹¹
SHAPES = {"conv": CONV, "wide": WIDE}
WIDE_SPACE = WIDE.n_neurons * WIDE.receptive_field
NAMES = ("ape", "bee", "cat")

IDS = st.one_of(st.integers(0, 300), st.integers(0, (1 << 32) - 1))
WIDE_IDS = st.one_of(IDS, st.integers(0, WIDE_SPACE - 1))
SETS = st.tuples(st.sets(st.integers(0, 15)), st.sets(WIDE_IDS, max_size=30))
# A class path is empty exactly where no image was merged.
CLASS_PATHS = st.lists(st.one_of(st.just((set(), set())), SETS), min_size=3, max_size=3)


def array_of(ids):
    return np.array(sorted(ids), np.int64)


def make(conv, wide, target=None):
    synapses = {"conv": array_of(conv), "wide": array_of(wide)}
    weights = {name: shape.weight_ids(synapses[name]) for name, shape in SHAPES.items()}
    neurons = {name: np.unique(synapses[name] // shape.receptive_field) for name, shape in SHAPES.items()}
    return Path(("conv", "wide"), synapses, weights, neurons, SHAPES, 0.5, target=target)


def class_paths_of(sets):
    paths = tuple(make(*each, target=label) for label, each in enumerate(sets))
    counts = np.array([int(bool(conv or wide)) for conv, wide in sets], np.int64)
    return ClassPaths(NAMES, paths, counts, 0.5)


EXAMPLE = class_paths_of([({0, 10, 11}, {3, 1 << 33, WIDE_SPACE - 1}), (set(), set()), ({1}, set(range(2000, 9000)))])


@pytest.fixture
def stored(tmp_path):
    ClassPathStore.write(tmp_path / "classes", EXAMPLE)
    return tmp_path / "classes"


@given(st.lists(st.lists(WIDE_IDS, max_size=40), max_size=8), st.randoms())
def test_a_union_of_any_split_in_any_order_is_that_of_the_sets(shards, random):
    for wide in (False, True):
        given_ = shards if wide else [[i for i in shard if i < 1 << 32] for shard in shards]
        space = WIDE_SPACE if wide else 1 << 32
        one, other = RoaringSet(space), RoaringSet(space)
        for shard in given_:
            one.add(np.array(shard, np.int64))
        shuffled = [i for shard in given_ for i in shard]
        random.shuffle(shuffled)
        for part in np.array_split(np.array(shuffled, np.int64), random.randint(1, 5)):
            other.add_bitmap(bitmap_of(part, is_wide(space)))
        expected = sorted(set(shuffled))
        assert one.ids().tolist() == other.ids().tolist() == expected
        assert one.ids().dtype == np.int64


def test_a_bitmap_that_was_handed_out_stays_as_it_was():
    growing = RoaringSet(100)
    growing.add(np.array([3, 1]))
    before = growing.bitmap()
    growing.add(np.array([2]))
    after = growing.bitmap()
    growing.add(np.array([4]))
    growing.add(np.array([5]))
    assert [ids_of(before).tolist(), ids_of(after).tolist()] == [[1, 3], [1, 2, 3]]
    assert growing.ids().tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("ids", [[-1, 5], [5, 1 << 32]])
def test_ids_that_do_not_fit_are_refused(ids):
    with pytest.raises(InvalidInputError, match=r"expected them in \[0, 4294967296\)"):
        bitmap_of(np.array(ids), wide=False)


@given(st.lists(CLASS_PATHS, min_size=1, max_size=4), st.randoms())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_class_paths_of_shards_unite_to_the_same_in_any_order(monkeypatch, shards, random):
    assert is_large(SHAPES, len(NAMES))
    given_ = [class_paths_of(shard) for shard in shards]
    random.shuffle(given_)
    cut = random.randint(0, len(given_))
    merged = Union(("conv", "wide"), SHAPES, 0.5, len(NAMES))
    for group in (given_[:cut], given_[cut:]):  # two machines, whose results are packed
        part = Union(("conv", "wide"), SHAPES, 0.5, len(NAMES))
        for each in group:
            part.add_class_paths(each)
        merged.add_class_paths(part.result(NAMES))
    result = merged.result(NAMES)
    for label, path in enumerate(result.paths):
        conv, wide = (set().union(*(shard[label][place] for shard in shards)) for place in (0, 1))
        assert path == make(conv, wide)
        assert path.target == label
    assert result.counts.tolist() == sum(each.counts for each in given_).tolist()
    assert pickle.loads(pickle.dumps(result)).paths == result.paths


@given(CLASS_PATHS, SETS)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_store_answers_as_the_class_paths_do(tmp_path, sets, image):
    class_paths, mine = class_paths_of(sets), make(*image)
    ClassPathStore.write(tmp_path / "classes", class_paths, {"note": [1, "ü"]})
    with ClassPathStore.open(tmp_path / "classes") as store:
        assert (store.class_names, store.theta, store.layers) == (NAMES, 0.5, ("conv", "wide"))
        assert (store.shapes, store.extra) == (SHAPES, {"note": [1, "ü"]})
        assert store.counts.tolist() == class_paths.counts.tolist()
        read = store.class_paths()
        assert read.paths == class_paths.paths
        assert read.overall() == class_paths.overall()
        for part in ("synapses", "weights"):
            for label, (path, there) in enumerate(zip(class_paths.paths, read.paths, strict=True)):
                same(store.overlap(mine, label, part), mine.overlap(path, part))
                same(store.overlap_per_layer(mine, label, part), mine.overlap_per_layer(path, part))
                same(there.overlap(mine, part), path.overlap(mine, part))
                same(there.jaccard_per_layer(mine, part), path.jaccard_per_layer(mine, part))
                assert there.density_per_layer(part) == path.density_per_layer(part)
            assert np.array_equal(read.similarity(part), class_paths.similarity(part), equal_nan=True)


def same(one, other):
    assert np.array_equal(*(list(v.values()) if isinstance(v, dict) else v for v in (one, other)), equal_nan=True)


def test_overlaps_by_hand(stored):
    store = ClassPathStore.open(stored)
    path = make({0, 1, 10}, {3, 1 << 33, 5})
    assert store.overlap(path, 0) == 4 / 6
    assert store.overlap_per_layer(path, 0) == {"conv": 2 / 3, "wide": 2 / 3}
    assert store.overlap_per_layer(path, 1) == {"conv": 0, "wide": 0}
    # neuron 5 = channel 1, so synapses 10 and 11 use weights 2 and 3; synapses 0 and 1, weights 0 and 1
    assert store.overlap_per_layer(path, 0, "weights")["conv"] == 2 / 3
    assert np.isnan(store.overlap(make(set(), set()), 0))


def test_opening_reads_the_index_alone(stored):
    index = bitmap_file.BitmapFile(stored).index
    data = bytearray(stored.read_bytes())
    for entry in index.entries.ravel():
        begin, size = int(entry["begin"]), int(entry["size"])
        data[begin : begin + size] = bytes(size)
    stored.write_bytes(data)
    store = ClassPathStore.open(stored)
    assert store.class_names == NAMES
    paths = store.class_paths().paths
    assert paths[0].layers == ("conv", "wide")
    assert not len(paths[1].synapses["wide"]), "an empty set has no bytes"
    with pytest.raises(InvalidInputError, match=r"synapses of layer wide of class cat: their checksum .* Delete this"):
        paths[2].synapses["wide"]


def test_a_set_is_read_when_it_is_asked_for_and_those_asked_for_last_are_kept(stored, monkeypatch):
    read = []
    original = bitmap_file.BitmapFile.read

    def noting(self, *key):
        read.append(key)
        return original(self, *key)

    monkeypatch.setattr(bitmap_file.BitmapFile, "read", noting)
    store = ClassPathStore.open(stored)
    paths = store.class_paths().paths
    assert read == []
    for _ in range(2):
        paths[0].synapses["conv"]
    assert read == [("synapses", "conv", 0)]
    monkeypatch.setattr("engine.paths.bitmap_store._KEPT_BYTES", 0)
    nothing_kept = ClassPathStore.open(stored)
    for _ in range(2):
        nothing_kept.path(2).synapses["wide"]
    assert read[1:] == [("synapses", "wide", 2)] * 2


def test_several_threads_may_ask(stored, monkeypatch):
    monkeypatch.setattr("engine.paths.bitmap_store._KEPT_BYTES", 14_500)  # now and then one is let go
    store = ClassPathStore.open(stored)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: store.path(n % 3) == EXAMPLE.paths[n % 3], range(60)))
    assert all(found)


def test_a_shortened_file_is_noticed_when_it_is_opened(stored):
    whole = stored.read_bytes()
    for size in (*range(0, len(whole), 997), 10, 48, len(whole) - 1):
        stored.write_bytes(whole[:size])
        with pytest.raises(InvalidInputError, match="expected class paths written by this program"):
            ClassPathStore.open(stored)


def test_other_files_are_no_store(tmp_path):
    EXAMPLE.paths[2].save(tmp_path / "one.npz")
    for file in ("one.npz", "absent", "."):
        assert not ClassPathStore.is_at(tmp_path / file)
        with pytest.raises(InvalidInputError, match="expected class paths written by this program"):
            ClassPathStore.open(tmp_path / file)


@given(places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_is_an_error_or_harmless(stored, tmp_path, places):
    data = bytearray(stored.read_bytes())
    for place, bit in places:
        data[int(place * len(data))] ^= 1 << bit
    (tmp_path / "flipped").write_bytes(data)
    with contextlib.suppress(InvalidInputError):
        assert ClassPathStore.open(tmp_path / "flipped").class_paths().paths == EXAMPLE.paths


def test_a_store_is_written_whole_or_not_at_all(stored):
    before = stored.read_bytes()
    broken = ClassPaths(NAMES[:1], (make({1}, {2}),), np.ones(1, np.int64), 0.5)
    broken.paths[0].synapses["conv"][0] = -1
    with pytest.raises(InvalidInputError, match="ids"):
        ClassPathStore.write(stored, broken)
    with pytest.raises(InvalidInputError, match="at least one class"):
        ClassPathStore.write(stored, ClassPaths((), (), np.empty(0, np.int64), 0.5))
    assert stored.read_bytes() == before
    assert [file.name for file in stored.parent.iterdir()] == ["classes"]


def test_what_does_not_belong_to_a_store_is_refused(stored):
    store = ClassPathStore.open(stored)
    for label in (-1, 3):
        with pytest.raises(InvalidInputError, match=r"expected a class in \[0, 3\)"):
            store.path(label)
    other = Path(("wide",), {"wide": array_of({1})}, {}, {}, {"wide": WIDE}, 0.5)
    with pytest.raises(InvalidInputError, match="same layers"):
        store.overlap(other, 0)
    store.close()
    with pytest.raises(InvalidInputError, match="closed"):
        store.path(0).synapses["conv"]


def test_a_pickled_store_opens_the_same_file(stored):
    there = pickle.loads(pickle.dumps(ClassPathStore.open(stored)))
    assert there.class_paths().paths == EXAMPLE.paths


@pytest.fixture(scope="module")
def model():
    return build("branches")


@pytest.fixture
def image_set(model):
    images = torch.rand(60, *SHAPE, generator=torch.Generator().manual_seed(0))
    return Images(images, model(images).argmax(1).numpy())


@pytest.fixture
def large(monkeypatch):
    """Every network counts as large."""
    monkeypatch.setattr("engine.paths.aggregation._LARGE", 0)
    monkeypatch.setattr("engine.paths.aggregation.SHARD", 20)


def test_the_union_of_packed_paths_stays_packed_and_is_that_of_plain_ones(model, image_set, monkeypatch):
    names = tuple("abcde")
    plain = compute_class_paths(model, image_set, names)
    monkeypatch.setattr("engine.paths.aggregation._LARGE", 0)
    packed = compute_class_paths(model, image_set, names)
    assert isinstance(packed.overall().synapses, BitmapIds)
    assert packed.overall() == plain.overall()
    assert np.array_equal(packed.density_growth("weights"), plain.density_growth("weights"))


def test_small_and_large_networks_have_the_same_class_paths(model, image_set, monkeypatch):
    images = image_set.images(np.arange(60))
    small = aggregate(model, images, image_set.labels)
    assert not isinstance(small.paths[0].synapses, BitmapIds)
    monkeypatch.setattr("engine.paths.aggregation._LARGE", 0)
    packed = aggregate(model, images, image_set.labels)
    assert isinstance(packed.paths[0].synapses, BitmapIds)
    assert packed.paths == small.paths
    one = EffectivePath(model).extract(images[:1])[0]
    same(one.overlap_per_layer(packed.paths[one.target]), one.overlap_per_layer(small.paths[one.target]))
    assert np.array_equal(packed.similarity(), small.similarity(), equal_nan=True)


def test_large_class_paths_are_kept_in_a_store_and_read_again(model, image_set, tmp_path, large):
    file, names = tmp_path / "paths.npz", tuple("abcde")
    first = class_paths_once(model, image_set, names, file=file)
    assert ClassPathStore.is_at(file)
    read = image_set.read
    again = class_paths_once(model, image_set, names, file=file)
    assert image_set.read == read
    assert again.paths == first.paths == aggregate(model, image_set.images(np.arange(60)), image_set.labels).paths
    assert isinstance(again.paths[0].synapses, BitmapIds)
    assert list(tmp_path.iterdir()) == [file]
    file.write_bytes(file.read_bytes()[:-1])
    assert class_paths_once(model, image_set, names, file=file).paths == first.paths
    assert {f.name for f in tmp_path.iterdir()} == {"paths.npz", "paths.damaged"}


def test_a_file_from_before_still_opens(model, image_set, tmp_path, monkeypatch):
    file, names = tmp_path / "paths.npz", tuple("abcde")
    before = class_paths_once(model, image_set, names, file=file)
    assert not ClassPathStore.is_at(file)
    monkeypatch.setattr("engine.paths.aggregation._LARGE", 0)
    read = image_set.read
    assert class_paths_once(model, image_set, names, file=file).paths == before.paths
    assert image_set.read == read


@pytest.mark.parametrize("damage", [False, True])
def test_stopped_work_on_a_large_network_goes_on(model, image_set, tmp_path, monkeypatch, large, damage):
    monkeypatch.setattr("engine.paths.class_paths._SAVE_EVERY", -1.0)
    names = tuple("abcde")

    def stop(fraction, message):
        if fraction > 0.5:
            raise Cancelled("stopped")

    def once(**more):
        return class_paths_once(model, image_set, names, file=tmp_path / "paths.npz", workers=1, **more)

    with pytest.raises(Cancelled):
        once(progress=stop)
    (state,) = tmp_path.iterdir()
    assert ClassPathStore.is_at(state)
    if damage:  # of the last set, which is met when others have been taken up
        data = bytearray(state.read_bytes())
        entries = bitmap_file.BitmapFile(state).index.entries.ravel()
        last = entries[entries["size"] > 0][-1]
        data[int(last["begin"])] ^= 1
        state.write_bytes(data)
    image_set.read = 0
    resumed = once()
    assert (image_set.read == 61) == damage  # one image tells the shape
    whole = aggregate(model, image_set.images(np.arange(60)), image_set.labels, class_names=names)
    assert resumed.paths == whole.paths
    assert resumed.counts.tolist() == whole.counts.tolist()
    assert [f.name for f in tmp_path.iterdir()] == ["paths.npz"]
