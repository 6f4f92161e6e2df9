"""Names as figure text."""

from dashboard.figures.labels import unique_labels


def test_a_name_that_looks_like_a_told_apart_one_stays_apart():
    assert unique_labels(["crane (1)", "crane", "crane"]) == ["crane (1) (0)", "crane (1)", "crane (2)"]
    assert unique_labels(["crane", "heron", "crane"]) == ["crane (0)", "heron", "crane (2)"]
