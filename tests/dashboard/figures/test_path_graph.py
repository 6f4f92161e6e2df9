import time

import numpy as np
import pytest

from dashboard.figures.path_graph import edge_quotas, path_graph
from dashboard.figures.theme import COLORS
from tests.dashboard.figures.paths_by_hand import LENET, Shape, linear, path_of, random_path

SIZES = [5000, 4000, 800, 200, 12]
DIGITS = [str(digit) for digit in range(10)]
TINY = {"conv": Shape(3, 1, 1, 1, 1, 2), "fc": linear(2, 3)}


@pytest.fixture
def tiny():
    return path_of(TINY, {"conv": [0, 1, 2], "fc": [0, 2]}), path_of(TINY, {"conv": [1, 4], "fc": [0, 5]})


@pytest.fixture(scope="module")
def lenet():
    return random_path(LENET, SIZES, 1), random_path(LENET, SIZES, 2)


def nodes(figure):
    return {
        (row[0], row[1]): (trace.name, x, y, row[2:])
        for trace in figure.data
        if trace.mode == "markers" and trace.name != "bundle"
        for row, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
    }


def edges(figure):
    return [row for trace in figure.data if trace.name == "bundle" for row in trace.customdata]


def test_nodes_of_a_tiny_path(tiny, theme):
    found = nodes(path_graph(*tiny, 100, 100, theme))
    assert {unit: (name, counts) for unit, (name, _, _, counts) in found.items()} == {
        ("input", 0): ("mainly clean", [2, 1, 1]),
        ("conv", 0): ("both", [1, 0, 1]),
        ("conv", 1): ("mainly clean", [1, 0, 0]),
        ("conv", 2): ("mainly adversarial", [0, 1, 0]),
        ("fc", 0): ("both", [1, 0, 1]),
        ("fc", 1): ("mainly adversarial", [0, 1, 0]),
    }


def test_nodes_are_spread_by_unit(tiny):
    found = nodes(path_graph(*tiny, 100, 100))
    assert [found[("conv", unit)][1:3] for unit in range(3)] == [(1, pytest.approx(y)) for y in (5 / 6, 0.5, 1 / 6)]
    assert found[("input", 0)][1:3] == (0, 0.5)


def test_edges_of_a_tiny_path(tiny, theme):
    figure = path_graph(*tiny, 100, 100, theme)
    assert sorted(map(list, edges(figure))) == [
        ["conv", 0, "input", 0, 1, 0, 1],
        ["conv", 1, "input", 0, 1, 0, 0],
        ["conv", 2, "input", 0, 0, 1, 0],
        ["fc", 0, "conv", 0, 0, 0, 1],
        ["fc", 0, "conv", 2, 1, 0, 0],
        ["fc", 1, "conv", 2, 0, 1, 0],
    ]
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    drawn = {trace.line.color: sum(len(t.x) // 3 for t in lines if t.line.color == trace.line.color) for trace in lines}
    assert drawn == {COLORS[theme][name]: 2 for name in ("clean", "adversarial", "shared")}


def test_lines_end_at_their_nodes(tiny):
    figure = path_graph(*tiny, 100, 100)
    places = {(x, round(y, 9)) for _, x, y, _ in nodes(figure).values()}
    for trace in figure.data:
        if trace.mode == "lines":
            points = np.column_stack([trace.x, trace.y]).reshape(-1, 3, 2)
            assert np.isnan(points[:, 2]).all()
            assert {(x, round(y, 9)) for x, y in points[:, :2].reshape(-1, 2).tolist()} <= places


def test_the_strongest_edges_are_kept(tiny):
    kept = edges(path_graph(*tiny, 2, 100))
    # The convolution's bundle of two synapses; among the equals of the linear layer, the first.
    assert [row[:4] for row in kept] == [["conv", 0, "input", 0], ["fc", 0, "conv", 0]]


@pytest.mark.parametrize("max_edges", [0, 3, 60, 1000])
@pytest.mark.parametrize("max_units", [1, 8, 64])
def test_caps(lenet, max_edges, max_units):
    figure = path_graph(*lenet, max_edges, max_units)
    shown = edges(figure)
    assert len(shown) <= max_edges
    found = nodes(figure)
    for layer in ("input", *LENET):
        assert 1 <= sum(name == layer for name, _ in found) <= max_units
    assert all((row[0], row[1]) in found and (row[2], row[3]) in found for row in shown)


def test_every_layer_gets_edges(lenet):
    assert {row[0] for row in edges(path_graph(*lenet, 60, 64))} == set(LENET)


def test_few_traces(lenet):
    assert len(path_graph(*lenet, 1000, 64).data) <= 13


def test_the_most_used_units_are_shown(lenet):
    clean, adversarial = lenet
    union = np.union1d(clean.synapses["fc2"], adversarial.synapses["fc2"])
    uses = np.bincount(union // 120, minlength=84)
    expected = np.argsort(-uses, kind="stable")[:8]
    shown = {unit for layer, unit in nodes(path_graph(clean, adversarial, 100, 8)) if layer == "fc2"}
    assert shown == set(expected.tolist())


def test_one_path_is_all_clean(lenet, theme):
    figure = path_graph(lenet[0], None, 100, 16, theme)
    named = {trace.name for trace in figure.data if trace.showlegend}
    assert named == {"path"}
    colors = {trace.line.color for trace in figure.data if trace.mode == "lines"}
    assert colors == {COLORS[theme]["clean"]}


def test_columns_are_labelled_in_full(lenet, theme):
    axis = path_graph(*lenet, 100, 16, theme).layout.xaxis
    assert [text.split("<br>")[0] for text in axis.ticktext] == ["input", *LENET]
    assert axis.ticktext[3] == "fc1<br>16 of 120 units"
    assert axis.title.text.startswith("100 of ")


def test_long_layer_names_stay_whole():
    shapes = {"a.rather.long.module.path": linear(2, 3)}
    axis = path_graph(path_of(shapes, {"a.rather.long.module.path": [0]}), None).layout.xaxis
    assert axis.ticktext == ("input", "a.rather.long.module.path")
    assert axis.autotickangles == (-90,)


def test_class_names_stand_beside_the_last_column(tiny):
    figure = path_graph(*tiny, 100, 100, "light", ["cat", "<i>dog</i>"])
    assert [note.text for note in figure.layout.annotations] == ["cat", "&lt;i&gt;dog&lt;/i&gt;"]
    assert not path_graph(*tiny, 100, 100, "light", DIGITS).layout.annotations


def test_a_layer_that_nothing_fits_shows_nodes_alone():
    shapes = {"conv": Shape(3, 4, 4, 1, 1, 1), "joined": Shape(2, 4, 4, 7, 1, 1)}
    figure = path_graph(path_of(shapes, {"conv": [0], "joined": [0, 150]}), None)
    assert {row[0] for row in edges(figure)} == {"conv"}
    (trace,) = [trace for trace in figure.data if trace.name == "path"]
    hints = {row[0]: text for row, text in zip(trace.customdata, trace.text, strict=True)}
    assert "edges not drawn" in hints["joined"]
    assert "edges not drawn" not in hints["conv"]


def test_empty_path():
    figure = path_graph(path_of(TINY, {"conv": [], "fc": []}), None)
    assert len(figure.data) == 0
    assert figure.layout.xaxis.ticktext[1] == "conv<br>0 units"


@pytest.mark.parametrize(
    ("available", "total", "quotas"),
    [
        ([10, 10], 6, [3, 3]),
        ([1, 10, 10], 9, [1, 4, 4]),
        ([2, 3], 100, [2, 3]),
        ([5, 5], 1, [0, 1]),
        ([], 5, []),
        ([4], -1, [0]),
    ],
)
def test_edge_quotas(available, total, quotas):
    assert edge_quotas(available, total) == quotas


def test_lenet_is_fast(lenet):
    path_graph(*lenet)
    times = []
    for _ in range(7):
        start = time.process_time()
        path_graph(*lenet, 300, 32, "light", DIGITS)
        times.append(time.process_time() - start)
    assert min(times) < 0.060
