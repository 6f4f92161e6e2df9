import csv
import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboard.figures.class_matrix import class_similarity
from dashboard.figures.density import density_per_layer
from dashboard.figures.images import image_figure, perturbation_figure
from dashboard.figures.path_graph import path_graph
from dashboard.figures.probabilities import top_probabilities
from dashboard.figures.similarity import layer_similarity
from dashboard.figures.table import figure_table
from tests.dashboard.figures.paths_by_hand import linear, path_of


def rows(figure):
    return list(csv.DictReader(io.StringIO(figure_table(figure))))


def test_bars():
    figure = density_per_layer(["conv1", "fc1"], {"clean": [0.25, 0.5], "a & b, <c>": [0.125, 1]})
    assert figure_table(figure) == (
        'trace,x,y\nclean,conv1,0.25\nclean,fc1,0.5\n"a & b, <c>",conv1,0.125\n"a & b, <c>",fc1,1\n'
    )


def test_horizontal_bars():
    figure = top_probabilities(["a", "b"], np.array([0.25, 0.75]))
    assert rows(figure) == [{"trace": "clean", "x": "0.75", "y": "b"}, {"trace": "clean", "x": "0.25", "y": "a"}]


def test_lines_leave_missing_values_empty_and_legend_keys_out():
    figure = layer_similarity(["a", "b"], [0.5, np.nan], band=([0.25, 0.25], [1, 1]))
    table = figure_table(figure)
    assert "clean,a,0.5\nclean,b,\n" in table
    assert "normal test images" not in table


def test_gaps_have_no_row():
    assert figure_table(go.Figure(go.Scatter(name="t", x=[0, None, 1], y=[2, None, 3]))) == "trace,x,y\nt,0,2\nt,1,3\n"


def test_matrix_has_each_cell_once():
    table = rows(class_similarity(np.array([[1, 0.25], [0.25, 1]]), ["a", "b"]))
    assert [(row["y"], row["x"], row["z"]) for row in table] == [
        ("a", "a", "1"),
        ("a", "b", "0.25"),
        ("b", "a", "0.25"),
        ("b", "b", "1"),
    ]


def test_gray_image():
    assert figure_table(image_figure(np.array([[[0.0, 0.1]]]))) == "trace,x,y,z\ngray,0,0,0\ngray,1,0,0.1\n"


def test_colour_images():
    image = np.array([0.0, 1.0, 0.2]).reshape(3, 1, 1)
    assert figure_table(image_figure(image)) == "trace,x,y,red,green,blue\nRGB,0,0,0,255,51\n"
    figure, _ = perturbation_figure(image * -0.1)
    assert figure_table(figure) == "trace,x,y,red,green,blue\nchange,0,0,0,-0.1,-0.02\n"


def test_path_graph_gives_units_and_bundles_not_positions():
    table = rows(path_graph(path_of({"fc": linear(2, 3)}, {"fc": [5]}), None))
    counts = {"clean only": "1", "adversarial only": "0", "both": "0"}
    assert table == [
        {"trace": "bundle", "layer": "fc", "unit": "1", "from layer": "input", "from unit": "2", **counts},
        {"trace": "path", "layer": "input", "unit": "2", "from layer": "", "from unit": "", **counts},
        {"trace": "path", "layer": "fc", "unit": "1", "from layer": "", "from unit": "", **counts},
    ]


def test_figures_that_came_back_from_the_browser():
    figure = class_similarity(np.array([[1, 0.25], [0.25, 1]]), ["a", "b"])
    assert figure_table(go.Figure(figure.to_plotly_json())) == figure_table(figure)
    returned = go.Figure(json.loads(figure.to_json()))
    assert figure_table(returned) == figure_table(figure)
    image = image_figure(np.linspace(0, 1, 12).reshape(3, 2, 2))
    assert figure_table(go.Figure(json.loads(image.to_json()))) == figure_table(image)


def test_other_traces_are_refused():
    with pytest.raises(ValueError, match="got pie"):
        figure_table(go.Figure(go.Pie(values=[1])))


def test_an_empty_figure_has_a_header():
    assert figure_table(go.Figure()) == "trace\n"
