"""The split never divides a source image, and the evaluation is that of its parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.detection.catalogue import detectors
from engine.detection.metrics import area
from engine.detection.protocol import Samples, evaluate, scores_of, split_sources
from engine.errors import InvalidInputError


def samples(seed, shift, n=80, first=0):
    random = np.random.default_rng(seed)
    values = np.clip(
        np.hstack([random.normal(0.9 - shift, 0.1, (n, 2)), random.normal(0.5 + shift, 0.1, (n, 2))]), 0, 1
    )
    return Samples(values, np.arange(first, first + n))


@given(st.sets(st.integers(0, 500), min_size=2), st.floats(0.05, 0.95), st.integers(0, 99))
def test_a_split_has_every_image_on_one_side(sources, share, seed):
    sources = np.array(sorted(sources))
    try:
        train, test = split_sources(np.repeat(sources, 2), share, seed)
    except InvalidInputError:
        assert round(share * len(sources)) in (0, len(sources))
        return
    assert not set(train) & set(test)
    assert set(train) | set(test) == set(sources)
    assert len(train) == round(share * len(sources))


@pytest.mark.parametrize("name", detectors.names())
def test_what_was_fitted_on_is_not_judged(name):
    normal = samples(0, 0.0)
    attacked = {"near": samples(1, 0.2), "far": samples(2, 0.5, n=40)}
    found = evaluate(detectors[name].create(), normal, attacked, train_share=0.25, seed=3)
    assert not set(found.train_sources) & set(found.test_sources)
    assert set(found.normal_sources) == set(found.test_sources)
    for attack, separation in found.separations.items():
        assert set(found.sources[attack]) <= set(found.test_sources)
        assert separation.auc == pytest.approx(area(found.normal_scores, found.scores[attack]))
        assert separation.auc > 0.8
    np.testing.assert_array_equal(found.normal_scores, scores_of(found.detector, normal.of(found.test_sources).values))


def test_an_unseen_attack_is_judged_but_not_fitted_on():
    attacked = {"seen": samples(1, 0.3), "unseen": samples(2, 0.3)}
    changed = {"seen": attacked["seen"], "unseen": samples(9, 0.0)}
    detector = detectors["joint_similarity"]
    one, other = (
        evaluate(detector.create(), samples(0, 0.0), a, train_on=("seen",), train_share=0.3)
        for a in (attacked, changed)
    )
    np.testing.assert_array_equal(one.detector.coef_, other.detector.coef_)
    assert set(one.separations) == {"seen", "unseen"}
    assert one.trained_on == ("seen",)


def test_an_attack_that_never_worked_is_left_out():
    nothing = Samples(np.empty((0, 4)), np.empty(0, np.int64))
    found = evaluate(detectors["joint_similarity"].create(), samples(0, 0.0), {"a": samples(1, 0.3), "none": nothing})
    assert set(found.separations) == {"a"}


@pytest.mark.parametrize(
    ("attacked", "options", "reason"),
    [
        ({}, {}, "train_on"),
        ({"a": samples(1, 0.2)}, {"train_on": ("b",)}, "among a"),
        ({"a": samples(1, 0.2)}, {"train_share": 0.001}, "train share"),
        ({"a": Samples(np.empty((0, 4)), np.empty(0, np.int64))}, {}, "to fit on"),
    ],
)
def test_what_cannot_be_done_is_refused(attacked, options, reason):
    with pytest.raises(InvalidInputError, match=reason):
        evaluate(detectors["joint_similarity"].create(), samples(0, 0.0), attacked, **options)
