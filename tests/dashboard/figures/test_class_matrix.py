import numpy as np
import pytest

from dashboard.figures.class_matrix import class_similarity

MATRIX = np.array([[1.0, 0.4, 0.5], [0.4, 1.0, 0.6], [0.5, 0.6, 1.0]])


def test_cells_and_colour_range(theme):
    figure = class_similarity(MATRIX, ["a", "b", "c"], theme)
    cells = figure.data[0]
    np.testing.assert_array_equal(cells.z, MATRIX.astype(np.float32))
    assert cells.z.dtype == np.float32
    assert (cells.zmin, cells.zmax) == (pytest.approx(0.4), pytest.approx(0.6))
    assert cells.customdata[0, 2].tolist() == [0, 2]
    assert figure.layout.yaxis.scaleanchor == "x"


def test_the_diagonal_is_muted(theme):
    cover = class_similarity(MATRIX, ["a", "b", "c"], theme).data[1]
    assert cover.hoverinfo == "skip"
    np.testing.assert_array_equal(np.isnan(cover.z), ~np.eye(3, dtype=bool))


def test_numbers_stand_in_their_cells():
    dark, light = class_similarity(MATRIX, ["a", "b", "c"]).data[2:]
    written = {(y, x): text for trace in (dark, light) for y, x, text in zip(trace.y, trace.x, trace.text, strict=True)}
    assert written[("a", "b")] == "0.40"
    assert written[("c", "b")] == "0.60"
    assert len(written) == 6
    # Viridis ends in yellow: dark text there, white on the violet of the lowest value.
    assert "0.60" in dark.text
    assert "0.40" in light.text


def test_many_classes_go_without_numbers():
    assert len(class_similarity(np.eye(30), [str(i) for i in range(30)]).data) == 2


def test_a_class_without_a_path_has_empty_cells(theme):
    matrix = MATRIX.copy()
    matrix[1] = matrix[:, 1] = np.nan
    figure = class_similarity(matrix, ["a", "b", "c"], theme)
    assert (figure.data[0].zmin, figure.data[0].zmax) == (pytest.approx(0.5), pytest.approx(0.5))
    assert figure.data[0].hoverongaps is False
    written = [text for trace in figure.data[2:] for text in trace.text]
    assert written == ["0.50", "0.50"]


def test_one_class():
    assert class_similarity(np.eye(1), ["only"]).data[0].z.tolist() == [[1.0]]


def test_shape_is_checked():
    with pytest.raises(ValueError, match=r"\(2, 2\), got \(3, 3\)"):
        class_similarity(MATRIX, ["a", "b"])
