import csv
import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboard.figures.roc import roc_curves
from dashboard.figures.table import figure_table
from dashboard.figures.theme import COLORS, SEQUENCE

CURVES = {
    "FGSM": {"fpr": [0, 0, 1], "tpr": [0, 0.5, 1], "auc": 0.75, "low": 0.7, "high": 0.8},
    "C&W": {"fpr": [0.0, 0.25, 1.0], "tpr": [0.0, 1.0, 1.0], "auc": 0.8754, "low": None, "high": None},
}


def lines(figure):
    return {trace.customdata[0][0]: trace for trace in figure.data if trace.customdata is not None}


def test_a_line_an_attack(theme):
    drawn = lines(roc_curves(CURVES, theme))
    assert list(drawn) == ["FGSM", "C&W"]
    assert [line.name for line in drawn.values()] == ["FGSM, AUC 0.750", "C&amp;W, AUC 0.875"]
    np.testing.assert_array_equal(drawn["C&W"].x, [0, 0.25, 1])
    np.testing.assert_array_equal(drawn["C&W"].y, [0, 1, 1])
    assert [line.line.color for line in drawn.values()] == list(SEQUENCE[theme][:2])
    assert len({line.line.dash for line in drawn.values()}) == len({line.marker.symbol for line in drawn.values()}) == 2


def test_the_square_has_a_line_at_chance():
    figure = roc_curves(CURVES)
    chance = figure.data[0]
    assert (list(chance.x), list(chance.y), chance.hoverinfo) == ([0, 1], [0, 1], "skip")
    assert figure.layout.yaxis.scaleanchor == "x"
    assert figure.layout.xaxis.range == figure.layout.yaxis.range


def test_the_chosen_attack_is_strong_and_the_others_thin():
    plain, strong = lines(roc_curves(CURVES)), lines(roc_curves(CURVES, chosen="C&W"))
    assert strong["FGSM"].line.width < plain["FGSM"].line.width < strong["C&W"].line.width
    assert strong["FGSM"].opacity < 1 == strong["C&W"].opacity
    assert roc_curves(CURVES, chosen="gone") == roc_curves(CURVES)


def test_the_threshold_is_marked(theme):
    mark = roc_curves(CURVES, theme, point=(0.05, 0.6)).data[-1]
    assert (mark.name, list(mark.x), list(mark.y)) == ("at the threshold", [0.05], [0.6])
    assert mark.marker.color == COLORS[theme]["ink"]


def test_table_has_whole_names():
    name = "<b>an attack of a very long name"
    figure = roc_curves({name: CURVES["FGSM"]}, point=(0.5, 0.75))
    rows = list(csv.DictReader(io.StringIO(figure_table(figure))))
    assert [tuple(row.values())[1:] for row in rows] == [
        (name, "0.0", "0.0"),
        (name, "0.0", "0.5"),
        (name, "1.0", "1.0"),
        ("at the threshold", "0.5", "0.75"),
    ]
    assert list(rows[0]) == ["trace", "attack", "false positive rate", "true positive rate"]
    assert figure_table(go.Figure(json.loads(figure.to_json()))).count("\n") == 5


def test_names_are_never_markup():
    (line,) = lines(roc_curves({"<b>x</b>": CURVES["FGSM"]})).values()
    assert line.name == "&lt;b&gt;x&lt;/b&gt;, AUC 0.750"


def test_no_auc_is_not_written():
    for auc in (None, float("nan")):
        (line,) = lines(roc_curves({"a": CURVES["FGSM"] | {"auc": auc}})).values()
        assert line.name == "a"


def test_nothing_has_axes():
    figure = roc_curves({})
    assert [trace.name for trace in figure.data] == ["chance"]
    assert figure_table(figure) == "trace\n"


def test_rates_must_fit():
    with pytest.raises(ValueError, match="as many true as false positive rates for a, got 2, 1"):
        roc_curves({"a": {"fpr": [0], "tpr": [0, 1], "auc": 1}})
