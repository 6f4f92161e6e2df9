import csv
import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboard.figures.sweep import AXES, sweep_curves
from dashboard.figures.table import figure_table
from engine.detection.sweeps import SWEEPS


def point(value, attack, auc=0.9, is_seen=True, width=0.02):
    ends = {"low": None, "high": None} if auc is None else {"low": auc - width, "high": auc + width}
    return {"value": value, "attack": attack, "auc": auc, "is_seen": is_seen} | ends


POINTS = [point(10, "a", 0.9), point(10, "<b>", 0.8), point(100, "a", 0.95), point(100, "<b>", None)]


def lines(figure):
    return {trace.customdata[0][0]: trace for trace in figure.data if trace.customdata is not None}


def test_every_kind_of_the_engine_has_an_axis():
    assert set(AXES) == set(SWEEPS)


def test_lines_with_bands(theme):
    figure = sweep_curves("last-layers", POINTS, theme)
    drawn = lines(figure)
    assert list(drawn["a"].x) == [10, 100]
    assert list(drawn["a"].y) == [0.9, 0.95]
    np.testing.assert_array_equal(drawn["<b>"].y, [0.8, np.nan])
    assert drawn["<b>"].name == "&lt;b&gt;"
    assert (
        len({trace.line.dash for trace in drawn.values()}) == len({trace.line.color for trace in drawn.values()}) == 2
    )
    band, other = (trace for trace in figure.data if trace.fill == "toself")
    assert list(band.x) == [10, 100, 100, 10]
    np.testing.assert_allclose(band.y, [0.88, 0.93, 0.97, 0.92])
    assert len(other.x) == 2
    assert band.legendgroup == drawn["a"].legendgroup


@pytest.mark.parametrize(("kind", "scale"), [("training-size", "log"), ("theta", "linear"), ("last-layers", "linear")])
def test_axis_is_named_and_has_a_tick_a_value(kind, scale):
    axis = sweep_curves(kind, [point(1000, "a"), point(10, "a")]).layout.xaxis
    assert (axis.type, axis.title.text) == (scale, AXES[kind])
    assert (list(axis.tickvals), list(axis.ticktext)) == ([10, 1000], ["10", "1,000"])


def test_what_was_not_seen_is_open(theme):
    points = [point(1, "a"), point(2, "a"), point(1, "b", is_seen=False), point(2, "b")]
    figure = sweep_curves("attacks-seen", points, theme)
    drawn = lines(figure)
    assert [symbol.endswith("-open") for symbol in drawn["a"].marker.symbol] == [False, False]
    assert [symbol.endswith("-open") for symbol in drawn["b"].marker.symbol] == [True, False]
    keys = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert keys == ["a", "b", "filled: seen", "open: not seen"]
    symbols = {s for line in lines(sweep_curves("theta", points)).values() for s in line.marker.symbol}
    assert not [symbol for symbol in symbols if symbol.endswith("-open")]


def test_parts_are_bars_from_chance(theme):
    points = [
        point("synapses", "a", 0.9),
        point("weights", "a", 0.8),
        point("synapses", "<b>", 0.7),
        point("weights", "<b>"),
    ]
    figure = sweep_curves("parts", points, theme)
    synapses, weights = figure.data
    assert (synapses.name, weights.name) == ("synapses", "weights")
    assert list(synapses.y) == ["a", "&lt;b&gt;"]
    assert list(synapses.x) == [0.9, 0.7]
    np.testing.assert_allclose(synapses.error_x.array, [0.02, 0.02])
    np.testing.assert_allclose(synapses.error_x.arrayminus, [0.02, 0.02])
    assert figure.layout.xaxis.range[0] == 0.5
    assert figure.layout.barmode == "group"


@pytest.mark.parametrize(("auc", "floor"), [(0.97, 0.9), (0.75, 0.7), (0.53, 0.5), (0.31, 0.2), (0.005, 0)])
def test_the_axis_of_the_auc_begins_below_all_values(auc, floor):
    figure = sweep_curves("theta", [point(0.5, "a", auc, width=0.01)])
    assert figure.layout.yaxis.range[0] == pytest.approx(floor)
    assert bool(figure.layout.shapes) == (floor < 0.5)


@pytest.mark.parametrize("kind", AXES)
def test_table(kind):
    value = "weights" if kind == "parts" else 2
    figure = sweep_curves(kind, [point(value, "<b>", 0.75, is_seen=False), point(value, "a", None)])
    rows = list(csv.DictReader(io.StringIO(figure_table(go.Figure(json.loads(figure.to_json()))))))
    assert [list(row.values())[1:] for row in rows] == [
        ["<b>", str(value), "0.75", "0.73", "0.77", "no"],
        ["a", str(value), "", "", "", "yes"],
    ]
    assert list(rows[0]) == ["trace", "attack", "value", "auc", "low", "high", "seen"]


@pytest.mark.parametrize("kind", AXES)
def test_nothing(kind, theme):
    assert figure_table(sweep_curves(kind, [], theme)) == "trace\n"


def test_other_kinds_are_refused():
    with pytest.raises(ValueError, match=r"theta, .*, got 'noise'"):
        sweep_curves("noise", [])
