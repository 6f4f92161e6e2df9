"""Models against each other, image by image."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInputError
from engine.robustness.comparison import compare_tables
from engine.robustness.intervals import Pairing
from tests.robustness.nets import clean_row, first, row, table

flags = st.lists(st.booleans(), min_size=20, max_size=20).map(lambda given: np.array(given, dtype=bool))


def two(mine, theirs):
    return [table([clean_row(first(90)), row("A", answers)], model=n) for n, answers in (("r", theirs), ("m", mine))]


def test_a_difference_worked_out_by_hand():
    # The reference is right on 0 … 31 of 50, the model on 12 … 33.
    theirs, mine = first(32, 50), first(34, 50) & ~first(12, 50)
    tables = [
        table([clean_row(first(40, 50)), row("A", answers)], model=n) for n, answers in (("r", theirs), ("m", mine))
    ]
    found = compare_tables(tables)
    clean, attacked = found.differences
    assert (clean.label, clean.difference, clean.p, clean.outcome) == ("Clean", 0, 1, "no difference shown")
    assert attacked.pairing == Pairing(both=20, only_first=2, only_second=12, neither=16)
    assert attacked.difference == pytest.approx(-0.2)
    assert attacked.interval == pytest.approx((-0.329, -0.056), abs=5e-4)
    assert attacked.p == pytest.approx(212 / 2**14)
    assert (attacked.model, attacked.reference, attacked.outcome) == ("m", "r", "worse")
    assert compare_tables(tables[::-1]).differences[1].outcome == "better"
    assert json.loads(json.dumps(found.report(), allow_nan=False))["differences"][1]["outcome"] == "worse"


def test_a_few_images_show_nothing():
    found = compare_tables(two(first(55), first(50)))
    assert found.differences[1].p == pytest.approx(2 / 2**5)
    assert found.differences[1].outcome == "no difference shown"
    assert compare_tables(two(first(56), first(50))).differences[1].outcome == "better"


def test_every_model_is_compared_with_the_first():
    tables = [
        table([clean_row(first(90)), row("A", first(n))], model=name) for name, n in (("a", 50), ("b", 60), ("c", 40))
    ]
    found = compare_tables(tables)
    assert found.reference == "a"
    assert [(d.model, d.label) for d in found.differences] == [("b", "Clean"), ("b", "A"), ("c", "Clean"), ("c", "A")]
    assert [d["difference"] for d in found.summary()] == pytest.approx([0, 0.1, 0, -0.1])


@given(flags, flags)
def test_comparing_is_symmetric(mine, theirs):
    tables = [table([clean_row(answers)], model=name) for name, answers in (("a", mine), ("b", theirs))]
    (one,), (other,) = compare_tables(tables).differences, compare_tables(tables[::-1]).differences
    assert one.difference == -other.difference
    assert one.p == other.p
    assert {one.outcome, other.outcome} in ({"better", "worse"}, {"no difference shown"})
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]))


BASE = table([clean_row(first(90)), row("A", first(50)), row("B", first(40))])
OTHER = replace(BASE, model="other")


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (BASE, "tiny is given twice"),
        (replace(OTHER, images_key="others"), "the same images"),
        (replace(OTHER, seed=1), "one seed; got 0 and 1"),
        (replace(OTHER, rows=OTHER.rows[:2]), "the same attacks; they differ in B"),
        (replace(OTHER, rows=(OTHER.rows[0], OTHER.rows[2], OTHER.rows[1])), "their order"),
        (replace(OTHER, rows=(*OTHER.rows[:2], row("B", first(4), settings={"epsilon": 0.2}))), "B has others"),
        (replace(OTHER, rows=(*OTHER.rows[:2], row("B", first(4), attack="bim"))), "B has others"),
        (replace(OTHER, rows=(*OTHER.rows[:2], row("B", first(4, 50)))), "as many images"),
    ],
)
def test_tables_that_cannot_be_compared_are_refused(other, reason):
    with pytest.raises(InvalidInputError, match=reason):
        compare_tables([BASE, other])


def test_one_table_is_not_compared():
    with pytest.raises(InvalidInputError, match="two tables or more"):
        compare_tables([BASE])
