"""Intervals and tests of shares against published values and scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from engine.errors import InvalidInputError
from engine.robustness.intervals import Pairing, mcnemar, mcnemar_greater, newcombe, paired, wilson

counts = st.integers(0, 60)
pairings = st.builds(Pairing, counts, counts, counts, counts).filter(lambda pairing: pairing.total > 0)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(sample):
    hits, total = sample
    theirs = binomtest(hits, total).proportion_ci(0.95, method="wilson")
    assert wilson(hits, total) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert 0 <= wilson(hits, total)[0] <= hits / total <= wilson(hits, total)[1] <= 1


def test_wilson_by_hand():
    # Newcombe 1998 (Statistics in Medicine 17:857), table I: 81 of 263 and 0 of 20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(0, 20)[0] == 0


@pytest.mark.parametrize(("hits", "total"), [(0, 0), (-1, 3), (4, 3)])
def test_no_share_of_nothing(hits, total):
    with pytest.raises(InvalidInputError, match="at least one image"):
        wilson(hits, total)


def test_newcombe_as_published():
    # Altman et al., Statistics with Confidence, chapter 6: sputum on two media, 20, 12, 2 and 16 of 50.
    pairing = Pairing(both=20, only_first=12, only_second=2, neither=16)
    assert pairing.difference == pytest.approx(0.2)
    assert newcombe(pairing) == pytest.approx((0.056, 0.329), abs=5e-4)


def test_newcombe_without_discordant_images_is_around_zero():
    low, high = newcombe(Pairing(both=100, only_first=0, only_second=0, neither=0))
    assert low == pytest.approx(-high)
    assert 0 < high < 0.06


def test_mcnemar_by_hand():
    # 2 of 14 and fewer, twice: 2·(1 + 14 + 91)/2^14.
    assert mcnemar(Pairing(20, 12, 2, 16)) == pytest.approx(2 * 106 / 2**14)
    assert mcnemar_greater(Pairing(20, 12, 2, 16)) == pytest.approx(106 / 2**14)
    assert mcnemar_greater(Pairing(20, 2, 12, 16)) == pytest.approx(1 - float(binom.cdf(1, 14, 0.5)))
    assert mcnemar(Pairing(3, 0, 0, 4)) == mcnemar_greater(Pairing(3, 0, 0, 4)) == 1


@given(pairings)
def test_pairing_is_symmetric(pairing):
    other = Pairing(pairing.both, pairing.only_second, pairing.only_first, pairing.neither)
    assert other.difference == -pairing.difference
    assert mcnemar(other) == mcnemar(pairing)
    low, high = newcombe(pairing)
    assert newcombe(other) == pytest.approx((-high, -low), abs=1e-9)
    assert low - 1e-12 <= pairing.difference <= high + 1e-12
    assert not math.isnan(low + high)
    assert low >= -1 - 1e-12
    assert high <= 1 + 1e-12


def test_counting_pairs():
    first, second = np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 0, 1, 0], bool)
    assert paired(first, second) == Pairing(both=1, only_first=2, only_second=1, neither=1)
    assert paired(first, second).difference == pytest.approx(0.2)
    for wrong in (second[:3], np.array([], bool)):
        with pytest.raises(InvalidInputError, match="same images"):
            paired(wrong, first if len(wrong) else wrong)
