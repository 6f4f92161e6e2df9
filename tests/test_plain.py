"""Results as plain values."""

import json
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.plain import plain

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


def test_numpy_paths_and_what_is_no_number():
    value = {1: np.float32(0.5), "b": (np.array([[1, 2]]), Path("a/b")), "c": [float("nan"), np.inf, np.bool_(True)]}
    assert plain(value) == {"1": 0.5, "b": [[[1, 2]], "a/b"], "c": [None, None, True]}
    assert plain([1 / 3, 12345.678], 3) == [0.333, 12300.0]


@given(VALUES)
def test_every_result_is_json_that_reads_back_the_same(value):
    once = plain(value)
    assert json.loads(json.dumps(once, allow_nan=False)) == once
    assert plain(once) == once
