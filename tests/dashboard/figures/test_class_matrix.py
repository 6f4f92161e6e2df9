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
    assert cells.customdata is None
    assert (cells.x, cells.y) == (("a", "b", "c"),) * 2, "where a label is tells the class of a clicked cell"
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


def of_many(classes):
    matrix = np.random.default_rng(0).uniform(0.2, 0.6, (classes, classes))
    np.fill_diagonal(matrix, 1.0)
    return matrix, class_similarity(matrix, ["crane", "crane", *(f"a bird of kind {i}" for i in range(2, classes))])


@pytest.mark.parametrize("classes", [60, 61])
def test_with_more_than_sixty_classes_the_names_are_in_the_hover_alone(classes):
    matrix, figure = of_many(classes)
    many = classes > 60
    assert (figure.layout.xaxis.showticklabels is False) == (figure.layout.yaxis.showticklabels is False) == many
    cells = figure.data[0]
    assert len(figure.data) == (1 if many else 2)
    assert "%{y} and %{x}: %{z" in cells.hovertemplate
    assert cells.x[:3] == ("crane (0)", "crane (1)", "a bird of kind 2")
    assert (cells.xgap, cells.ygap) == ((0, 0) if many else (1, 1))
    off = ~np.eye(classes, dtype=bool)
    np.testing.assert_array_equal(cells.z[off], matrix[off].astype(np.float32))
    assert np.isnan(np.diag(cells.z)).all() == many
    assert cells.zmax < 0.6
    assert np.diag(matrix).tolist() == [1.0] * classes, "what was given stays as it was"


def test_a_thousand_classes_are_sent_in_seven_megabytes():
    _, figure = of_many(1000)
    assert len(figure.to_json()) < 7_000_000


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
