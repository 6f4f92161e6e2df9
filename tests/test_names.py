"""Names as keys: never one twice."""

from hypothesis import given
from hypothesis import strategies as st

from engine.names import told_apart

NAMES = st.sampled_from(["crane", "crane (0)", "crane (1)", "crane (2)", "heron", "class", "class (1)"])


def test_equal_names_get_their_index_and_others_stay_as_they_are():
    assert told_apart(["crane", "heron", "crane"]) == ["crane (0)", "heron", "crane (2)"]


def test_a_name_that_looks_like_a_told_apart_one_stays_apart():
    assert told_apart(["crane (1)", "crane", "crane"]) == ["crane (1) (0)", "crane (1)", "crane (2)"]


def test_a_name_that_stands_for_something_else_is_left_to_it():
    assert told_apart(["class", "heron"], taken=["class"]) == ["class (0)", "heron"]


@given(st.lists(NAMES, max_size=6), st.sets(NAMES, max_size=2))
def test_no_two_are_equal_and_none_is_taken(names, taken):
    apart = told_apart(names, taken)
    assert len({*apart, *taken}) == len(names) + len(taken)
    assert [told.startswith(name) for told, name in zip(apart, names, strict=True)] == [True] * len(names)
