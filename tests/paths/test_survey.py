"""What class paths come to together: equal to what they say themselves, read once, estimated where they are many."""

import logging
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import ClassPaths, Path
from engine.errors import Cancelled, InvalidInputError
from engine.network.operations import LayerShape
from engine.paths import bitmap_file, similarity_sample
from engine.paths.bitmap_store import ClassPathStore
from engine.paths.class_paths import with_sound_file
from engine.paths.similarity_sample import draw
from engine.paths.survey import ClassSurvey, survey, survey_once

CONV = LayerShape(2, 2, 2, 1, 2, 1, 1, n_synapses=14)  # 2 of its 16 ids are on padding
WIDE = LayerShape(1 << 16, 64, 64, 256, 3, 3, 1, n_synapses=1 << 39)  # ids up to 6·10¹¹
LINEAR = LayerShape(40, 1, 1, 1000, 1, 1, 1, n_synapses=40_000)
SMALL = {"conv": CONV, "fc": LINEAR}


def path_of(shapes, sets):
    synapses = {name: np.array(sorted(ids), np.int64) for name, ids in zip(shapes, sets, strict=True)}
    weights = {name: shape.weight_ids(synapses[name]) for name, shape in shapes.items()}
    neurons = {name: np.unique(synapses[name] // shape.receptive_field) for name, shape in shapes.items()}
    return Path(tuple(shapes), synapses, weights, neurons, shapes, 0.5)


def class_paths_of(shapes, sets, without_images=()):
    """Class paths of the sets of each class; those of some classes count no image."""
    counts = np.array([0 if label in without_images else 3 for label in range(len(sets))], np.int64)
    names = tuple(f"class {label}" for label in range(len(sets)))
    return ClassPaths(names, tuple(path_of(shapes, each) for each in sets), counts, 0.5)


def linear(*sets):
    return class_paths_of({"fc": LINEAR}, [(each,) for each in sets])


def nested(n_classes, size=12_000):
    """Every class has the same core of 4,000 synapses and others of its own: J is known."""
    ids = np.random.default_rng(0).permutation(40_000)
    return linear(*(np.union1d(ids[:4000], ids[4000 + 100 * n : 4000 + 100 * n + size]) for n in range(n_classes)))


SETS = st.tuples(st.sets(st.integers(0, 15)), st.sets(st.integers(0, 39_999), max_size=40))
CLASSES = st.lists(SETS, min_size=1, max_size=6)


def assert_as_they_say(found, class_paths):
    np.testing.assert_array_equal(found.similarity, class_paths.similarity())
    np.testing.assert_array_equal(found.growth, class_paths.density_growth())
    overall = class_paths.overall()
    assert found.density() == overall.density()
    assert found.density_per_layer() == overall.density_per_layer()
    known = np.flatnonzero(class_paths.counts)
    assert found.known().tolist() == known.tolist()
    each = [class_paths.paths[label].density_per_layer() for label in known]
    for layer, mean in found.mean_density_per_layer().items():
        np.testing.assert_allclose(mean, np.mean([d[layer] for d in each]) if each else np.nan)
    for row, path in zip(found.synapses, class_paths.paths, strict=True):
        assert row.tolist() == [len(path.synapses[layer]) for layer in found.layers]
    assert (found.drawn, found.standard_error) == (None, 0.0)


@given(sets=CLASSES, without=st.sets(st.integers(0, 5)))
@settings(deadline=None)
def test_a_survey_says_what_the_class_paths_say(sets, without):
    class_paths = class_paths_of(SMALL, sets, without)
    assert_as_they_say(survey(class_paths), class_paths)
    # Of a network with no more synapse ids than are drawn, all are looked at.
    assert_as_they_say(survey(class_paths, exact_pairs=0), class_paths)


@given(sets=CLASSES, without=st.sets(st.integers(0, 5)), drawn=st.integers(1, 50_000), seed=st.integers(0, 3))
@settings(deadline=None)
def test_an_estimate_has_its_values_where_there_are_some(sets, without, drawn, seed):
    class_paths = class_paths_of(SMALL, sets, without)
    found, exact = survey(class_paths, exact_pairs=0, drawn=drawn, seed=seed), class_paths.similarity()
    if len(found.known()) > 1:
        assert found.drawn is None or found.drawn <= drawn
    np.testing.assert_array_equal(np.isnan(found.similarity), np.isnan(exact))
    np.testing.assert_array_equal(found.similarity, found.similarity.T)
    np.testing.assert_array_equal(np.diag(found.similarity), np.diag(exact))
    known = found.similarity[~np.isnan(exact)]
    assert ((known >= 0) & (known <= 1)).all()
    assert 0 <= found.standard_error <= 0.5


def test_estimates_lie_within_their_standard_error():
    class_paths = nested(30)
    exact = class_paths.similarity()
    off = ~np.eye(30, dtype=bool)
    deviations = []
    for seed in range(4):
        found = survey(class_paths, exact_pairs=0, drawn=5000, seed=seed)
        assert found.drawn == 5000
        n = 5000 * 16_000 / 40_000  # draws on a class
        assert 0.3 / n**0.5 < found.standard_error < 0.5 / n**0.5
        deviations.append((found.similarity - exact)[off] / found.standard_error)
        np.testing.assert_array_equal(found.growth, class_paths.density_growth())
    assert np.abs(deviations).max() < 4
    assert 0.2 < np.std(deviations) < 1.2
    assert abs(np.mean(deviations)) < 0.7


def test_the_standard_error_says_when_nothing_is_known():
    found = survey(linear({1}, {39_000}), exact_pairs=0, drawn=5)
    assert found.standard_error > 0.2
    assert found.similarity[0, 1] == 0.0


def test_the_same_seed_gives_the_same_estimate_in_any_order_of_the_classes():
    class_paths = nested(12)
    order = np.random.default_rng(3).permutation(12)
    shuffled = ClassPaths(
        tuple(class_paths.class_names[i] for i in order), tuple(class_paths.paths[i] for i in order),
        class_paths.counts[order], 0.5,
    )  # fmt: skip
    one, again, other = (survey(class_paths, exact_pairs=0, drawn=900, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.similarity, again.similarity)
    assert (one.similarity != other.similarity).any()
    moved = survey(shuffled, exact_pairs=0, drawn=900, seed=5)
    np.testing.assert_array_equal(moved.similarity, one.similarity[np.ix_(order, order)])
    assert (moved.standard_error, moved.seed) == (one.standard_error, 5)


def test_a_sample_that_does_not_fit_is_halved(monkeypatch):
    class_paths = nested(12)
    whole = survey(class_paths, exact_pairs=0, drawn=8000)
    monkeypatch.setattr(similarity_sample, "_HELD", 12 * 8000 * 0.4 / 3)
    halved = survey(class_paths, exact_pairs=0, drawn=8000)
    assert (whole.drawn, halved.drawn) == (8000, 2000)
    assert halved.standard_error == pytest.approx(2 * whole.standard_error, rel=0.25)
    assert np.abs(halved.similarity - class_paths.similarity()).max() < 4.5 * halved.standard_error


def test_no_more_draws_are_compared_than_are_enough(monkeypatch):
    monkeypatch.setattr(similarity_sample, "_ENOUGH", 400)
    class_paths = linear(range(10_000), range(5000, 15_000), range(20))
    found = survey(class_paths, exact_pairs=0, drawn=20_000)
    assert found.drawn == pytest.approx(1600, abs=80)  # the second smallest has a quarter of all
    assert found.standard_error < 0.5 / 400**0.5
    assert np.abs(found.similarity - class_paths.similarity()).max() < 4.5 * found.standard_error


def test_blocks_add_up(monkeypatch):
    one = survey(nested(9), exact_pairs=0, drawn=3000)
    monkeypatch.setattr(similarity_sample, "_BLOCK", 37)
    np.testing.assert_array_equal(survey(nested(9), exact_pairs=0, drawn=3000).similarity, one.similarity)


@given(n=st.integers(1, 3000), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_draws_are_different_ones_below_the_limit(n, share, seed):
    size = max(1, round(n * share))
    found, places = draw(n, size, np.random.default_rng(seed))
    assert len(found) == size
    assert (np.diff(found) > 0).all()
    assert found[0] >= 0
    assert found[-1] < n
    assert sorted(places.tolist()) == list(range(size))


def test_every_id_is_drawn_as_often_at_every_place():
    for n, size in ((10, 2), (10, 4), (10, 7)):
        times = np.zeros((n, size))
        for seed in range(4000):
            times[draw(n, size, np.random.default_rng(seed))] += 1
        assert np.abs(times / (4000 / n) - 1).max() < 0.25  # 5 standard deviations


@pytest.fixture
def stored(tmp_path):
    """A file of class paths with ids of 32 and of 64 bits, one class of them empty and without images."""
    far = WIDE.n_neurons * WIDE.receptive_field - 1
    sets = [({0, 10, 11}, {3, 1 << 33, far}), (set(), set()), ({1, 10}, set(range(2000, 9000)) | {far})]
    class_paths = class_paths_of({"conv": CONV, "wide": WIDE}, sets, {1})
    ClassPathStore.write(tmp_path / "classes", class_paths)
    return class_paths, tmp_path / "classes"


@pytest.mark.parametrize("exact_pairs", [0, 1 << 50])
def test_a_file_is_read_once(stored, monkeypatch, exact_pairs):
    class_paths, file = stored
    read = []
    original = bitmap_file.BitmapFile.read
    monkeypatch.setattr(bitmap_file.BitmapFile, "read", lambda self, *key: read.append(key) or original(self, *key))
    monkeypatch.setattr("engine.paths.bitmap_store._KEPT_BYTES", 0)
    with ClassPathStore.open(file) as store:
        found = survey(store.class_paths(), exact_pairs=exact_pairs, drawn=1000)
        assert read == [("synapses", layer, label) for label in range(3) for layer in ("conv", "wide")]
        assert store.path(0) == class_paths.paths[0], "what was read is not changed"
    np.testing.assert_array_equal(found.growth, class_paths.density_growth())
    if exact_pairs:
        assert_as_they_say(found, class_paths)


def test_work_is_counted_in_pairs_times_synapses():
    class_paths = nested(4)
    assert survey(class_paths, exact_pairs=6 * 40_000, drawn=10).drawn is None
    assert survey(class_paths, exact_pairs=6 * 40_000 - 1, drawn=10).drawn == 10


def test_progress_is_told_and_cancelling_comes_through():
    told = []
    survey(nested(5), exact_pairs=0, drawn=500, progress=lambda *each: told.append(each))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert (len(told), fractions[-1]) == (6, 1.0)
    assert told[2][1] == "3 of 5 classes"

    def stop(fraction, message):
        if fraction > 0.5:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        survey(nested(5), progress=stop)


@pytest.mark.parametrize("drawn", [0, -1, 1 << 31])
def test_draws_out_of_range_are_refused(drawn):
    with pytest.raises(InvalidInputError, match=r"drawn: expected a number of synapse ids in \[1, "):
        survey(nested(3), exact_pairs=0, drawn=drawn)


def test_no_classes_are_refused():
    with pytest.raises(InvalidInputError, match="at least one class"):
        survey(ClassPaths((), (), np.empty(0, np.int64), 0.5))


def assert_equal(one, other):
    for field in fields(ClassSurvey):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), strict=True)


@pytest.mark.parametrize("exact_pairs", [0, 1 << 50])
def test_a_survey_is_saved_and_loaded(tmp_path, exact_pairs):
    class_paths = class_paths_of(SMALL, [({1, 2}, {3}), (set(), set()), ({2}, {3, 4})], {1})
    found = survey(class_paths, exact_pairs=exact_pairs, drawn=200, seed=4)
    found.save(tmp_path / "survey.npz")
    read = ClassSurvey.load(tmp_path / "survey.npz")
    assert_equal(read, found)
    with pytest.raises(ValueError, match="read-only"):
        read.similarity[0] = 0


def test_a_damaged_survey_is_made_again(tmp_path, caplog):
    class_paths, file = nested(3), tmp_path / "survey.npz"
    first = survey_once(class_paths, file=file)
    told = []
    assert_equal(survey_once(class_paths, file=file, progress=lambda *each: told.append(each)), first)
    assert not told, "it was there"
    for damaged in (b"", file.read_bytes()[:300], b"no survey"):
        file.write_bytes(damaged)
        with pytest.raises(InvalidInputError, match="expected a survey of class paths"):
            ClassSurvey.load(file)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert_equal(survey_once(class_paths, file=file), first)
        assert "surveying class paths again" in caplog.text
        assert_equal(ClassSurvey.load(file), first)


def test_class_paths_found_damaged_when_they_are_read_are_computed_again(stored, tmp_path, caplog):
    class_paths, file = stored
    written, times = bytearray(file.read_bytes()), []
    written[int(bitmap_file.BitmapFile(file).index.entries["begin"][0, 0, 0]) + 4] ^= 1  # the index is sound

    def work():
        times.append(1)
        if not file.exists():
            ClassPathStore.write(file, class_paths)
        with ClassPathStore.open(file) as store:
            return survey(store.class_paths(), exact_pairs=1 << 50)

    file.write_bytes(written)
    assert_equal(with_sound_file(file, work), survey(class_paths, exact_pairs=1 << 50))
    assert len(times) == 2
    assert "computing class paths again" in caplog.text
    assert file.with_suffix(".damaged").read_bytes() == written


def test_a_survey_that_cannot_be_kept_is_there_all_the_same(tmp_path, caplog):
    class_paths = nested(3)
    assert_equal(survey_once(class_paths, file=tmp_path / "absent" / "survey.npz"), survey(class_paths))
    assert "is not kept" in caplog.text


def test_a_survey_of_other_class_paths_is_not_taken(tmp_path):
    file = tmp_path / "survey.npz"
    survey_once(nested(3), file=file)
    assert len(survey_once(nested(4), file=file).counts) == 4
    class_paths = nested(4)
    class_paths.counts[:] = 7
    assert survey_once(class_paths, file=file).counts.tolist() == [7] * 4


def test_what_the_means_are_by_hand():
    class_paths = class_paths_of(SMALL, [({0, 1}, {7}), ({1, 2}, {7, 8}), ({5}, set())], {2})
    found = survey(class_paths)
    assert found.synapses.tolist() == [[2, 1], [2, 2], [1, 0]]
    assert found.together.tolist() == [4, 2]
    assert found.sizes.tolist() == [14, 40_000]
    assert found.mean_density_per_layer() == pytest.approx({"conv": 2 / 14, "fc": 1.5 / 40_000})
    assert found.mean_similarity() == 2 / 5
    assert np.isnan(survey(class_paths_of(SMALL, [({0}, set())])).mean_similarity())
