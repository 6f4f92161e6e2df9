"""The bars of the Detect page: coefficients, contributions, scores."""

import csv
import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboard.figures.coefficients import by_rank, coefficients
from dashboard.figures.contributions import contributions
from dashboard.figures.scores import score_histogram
from dashboard.figures.table import figure_table
from dashboard.figures.theme import COLORS

NAMES = ("conv1, rank 1", "fc<1>, rank 1", "conv1, rank 2", "fc<1>, rank 2")


def traces(figure):
    return {trace.name: trace for trace in figure.data if trace.hoverinfo != "skip"}


def rows(figure):
    return list(csv.DictReader(io.StringIO(figure_table(figure))))


def test_coefficients(theme):
    figure = coefficients(NAMES, [1.0, 2.0, 3.0, None], theme)
    bars = traces(figure)
    assert list(bars) == ["rank 1", "rank 2"]
    assert list(bars["rank 1"].x) == ["conv1", "fc&lt;1&gt;"]
    assert list(bars["rank 1"].y) == [1, 2]
    np.testing.assert_array_equal(bars["rank 2"].y, [3, np.nan])
    assert len({trace.marker.color for trace in bars.values()}) == 2
    assert not {trace.marker.color for trace in bars.values()} & {COLORS[theme]["clean"], COLORS[theme]["adversarial"]}
    assert "decides more" in figure.layout.yaxis.title.text
    assert {"trace": "rank 1", "x": "fc<1>", "y": "2"} in rows(figure)


def test_coefficients_of_nothing():
    assert figure_table(coefficients([], [])) == "trace\n"


def test_features_are_sorted_by_layer_and_rank():
    layers, ranks = by_rank(["a, rank 1, rank 1", "b, rank 1", "b, rank 2"], [1, 2, 3])
    assert layers == ["a, rank 1", "b"]
    np.testing.assert_array_equal(ranks["rank 2"], [np.nan, 3])
    assert list(by_rank(["a, rank 2"], [1])[1]) == ["rank 2"]


@pytest.mark.parametrize("name", ["conv1", "conv1, rank 3", "conv1 rank 1"])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="Expected names like 'conv1, rank 1', got"):
        by_rank([name], [1])


def test_values_must_fit_the_names():
    with pytest.raises(ValueError, match="Expected 4 values, one a name, got 1"):
        contributions(NAMES, [1])


def test_contributions(theme):
    figure = contributions(NAMES, [0.5, -2.0, -0.25, None], theme)
    bars = traces(figure)
    first, second = bars["rank 1"], bars["rank 2"]
    assert (list(first.x), list(first.y)) == ([0.5, -2.0], ["conv1", "fc&lt;1&gt;"])
    assert list(first.marker.color) == [COLORS[theme]["adversarial"], COLORS[theme]["clean"]]
    assert second.marker.color[0] == COLORS[theme]["clean"]
    assert first.marker.pattern.shape != second.marker.pattern.shape
    low, high = figure.layout.xaxis.range
    assert -low == high > 2
    assert figure.layout.yaxis.autorange == "reversed"
    assert figure.layout.xaxis.title.text.index("normal") < figure.layout.xaxis.title.text.index("attack")
    assert rows(figure)[:2] == [
        {"trace": "rank 1", "x": "0.5", "y": "conv1"},
        {"trace": "rank 1", "x": "-2", "y": "fc<1>"},
    ]


def test_keys_of_contributions_take_no_place_beside_the_bars():
    figure = contributions(NAMES, [1, 1, 1, 1])
    assert {trace.offsetgroup for trace in figure.data} == {"rank 1", "rank 2"}
    assert [trace.name for trace in figure.data if trace.showlegend is not False] == ["rank 1", "rank 2"]


def test_layers_keep_their_names_and_their_height():
    usual, long = "layer2.0.downsample.0", "x" * 30 + "y" * 30
    figure = contributions([f"{usual}, rank 1", f"{long}, rank 1"], [1, 1])
    assert figure.layout.yaxis.ticktext[0] == usual
    assert len(figure.layout.yaxis.ticktext[1]) == 36
    assert figure.data[0].y[1] == long
    many = contributions([f"layer {n}, rank 1" for n in range(50)], np.ones(50))
    assert many.layout.height >= 50 * 20


@pytest.mark.parametrize("values", [[], [0, 0], [None, None]])
def test_contributions_of_nothing_have_an_axis(values):
    figure = contributions(["a, rank 1", "b, rank 1"][: len(values)], values)
    assert list(figure.layout.xaxis.range) == [-1, 1]


NORMAL, ATTACKED = [0.0, 0.05, 0.1, 0.95], [0.5, 1.0]


def test_score_histogram(theme):
    figure = score_histogram(NORMAL, ATTACKED, 0.6, theme, "<FGSM>")
    bars = traces(figure)
    assert list(bars) == ["normal (4)", "&lt;FGSM&gt; (2)"]
    normal, attacked = bars.values()
    assert normal.marker.color == COLORS[theme]["clean"]
    assert attacked.marker.color == COLORS[theme]["adversarial"]
    assert attacked.marker.pattern.shape != normal.marker.pattern.shape
    np.testing.assert_allclose(normal.y, [0.5, 0.25, 0, 0, 0, 0, 0, 0, 0, 0.25])
    np.testing.assert_allclose(attacked.y, [0, 0, 0, 0, 0, 0.5, 0, 0, 0, 0.5])
    np.testing.assert_array_equal(normal.x, attacked.x)
    assert figure.layout.barmode == "overlay"


def test_the_threshold_is_the_only_shape(theme):
    figure = score_histogram(NORMAL, ATTACKED, 0.6, theme)
    (line,) = figure.layout.shapes
    assert (line.x0, line.x1, line.yref) == (0.6, 0.6, "paper")
    (label,) = figure.layout.annotations
    assert (label.text, label.xanchor) == ("threshold 0.6", "right")
    assert score_histogram(NORMAL, ATTACKED, 0.2).layout.annotations[0].xanchor == "left"


@pytest.mark.parametrize("threshold", [None, float("nan"), float("inf")])
def test_no_threshold_has_no_line(threshold):
    assert not score_histogram(NORMAL, ATTACKED, threshold).layout.shapes


def test_a_threshold_outside_is_in_sight():
    low, high = score_histogram(NORMAL, ATTACKED, 3.0).layout.xaxis.range
    assert low < 0
    assert high > 3


def test_missing_scores_are_left_out():
    figure = score_histogram([0.0, None, float("nan")], np.array([1.0, np.inf]), 0.5)
    assert list(traces(figure)) == ["normal (1)", "attacked (1)"]


def test_equal_scores_have_a_bar():
    (bar,) = score_histogram([1.0, 1.0], [], 1.0).data
    assert sum(bar.y) == 1


def test_table_of_scores():
    figure = score_histogram(NORMAL, ATTACKED, 0.6)
    figure = go.Figure(json.loads(figure.to_json()))
    table = rows(figure)
    assert len(table) == 20
    assert table[0] == {"trace": "normal (4)", "score from": "0.0", "score to": "0.1", "share": "0.5", "images": "2"}


def test_no_scores_have_axes():
    figure = score_histogram([], [], None)
    assert figure_table(figure) == "trace\n"
    assert figure.layout.yaxis.range[1] > 0
