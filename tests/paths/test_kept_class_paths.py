"""Where class paths are kept: programs that mean the same find each other's, those that mean others do not."""

import pytest

from engine.paths.class_paths import class_paths_file

ASKED = {"model_key": "m1", "data_key": "d1", "theta": 0.5, "limit": None}


def test_what_is_the_same_is_kept_in_one_place(tmp_path):
    assert class_paths_file(tmp_path, **ASKED) == class_paths_file(tmp_path, "m1", "d1", 0.5)
    assert class_paths_file(tmp_path, **ASKED | {"theta": 1}) == class_paths_file(tmp_path, "m1", "d1", 1.0)


OTHERS = [{"model_key": "m2"}, {"data_key": "d2"}, {"theta": 0.5 + 1e-9}, {"limit": 10}]


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: next(iter(other)))
def test_what_differs_is_kept_elsewhere(tmp_path, other):
    assert class_paths_file(tmp_path, **ASKED) != class_paths_file(tmp_path, **ASKED | other)
