"""The figures of the Harden page and of the view over training."""

import csv
import io
import json

import pytest

from dashboard.figures.accuracy_curves import accuracy_by_strength
from dashboard.figures.learning_curves import accuracy_by_epoch, loss_by_epoch
from dashboard.figures.model_layers import models_by_layer
from dashboard.figures.phases import training_phases
from dashboard.figures.table import figure_table
from dashboard.figures.theme import COLORS

CURVES = {
    "total": [2.0, 1.0],
    "terms": {"clean": [1.0, 0.5], "<stability>": [0.2, None]},
    "weights": {"clean": 1.0, "<stability>": 5.0},
    "accuracy": [0.5, 0.75],
    "clean": [0.25, 0.5],
    "robust": [None, 0.25],
}
POINTS = {"label": "<i>", "epsilons": [0.0, 0.1], "accuracy": [1.0, None], "low": [0.9, None], "high": [1.0, None]}
EPOCHS = [
    {"epoch": 1, "similarity": [0.25, 0.5, None], "density": 0.125, "accuracy": 0.5},
    {"epoch": 2, "similarity": [], "density": None, "accuracy": 0.75},
]
EVERY = {
    "loss": lambda theme: loss_by_epoch(CURVES, 4, theme),
    "accuracy": lambda theme: accuracy_by_epoch(CURVES, 4, theme),
    "strength": lambda theme: accuracy_by_strength([POINTS], theme),
    "layers": lambda theme: models_by_layer(["<b>", "fc"], [{"label": "<i>", "values": [0.5, None]}], "mean", theme),
    "phases": lambda theme: training_phases(EPOCHS, theme),
}


def rows(figure):
    return list(csv.DictReader(io.StringIO(figure_table(figure))))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)
def test_each_figure_has_the_theme_is_plain_json_and_exports_its_numbers(draw, theme):
    figure = draw(theme)
    assert figure.layout.template.layout.paper_bgcolor == COLORS[theme]["paper"]
    text = json.dumps(figure.to_plotly_json(), default=list)
    assert "<i>" not in text.replace('"<i>"', "")  # names are never markup, but in the data that is exported
    assert rows(figure)


def test_a_loss_term_is_drawn_as_it_counts():
    figure = loss_by_epoch(CURVES, 4)
    found = {trace.name: list(trace.y) for trace in figure.data}
    assert found["loss"] == [2.0, 1.0]
    assert found["clean"] == [1.0, 0.5]
    assert found["5 × &lt;stability&gt;"][0] == 1.0
    assert tuple(figure.layout.xaxis.range) == (0.6, 4.4)  # all epochs that are to come


def test_a_loss_of_one_term_is_one_line():
    figure = loss_by_epoch({**CURVES, "terms": {"clean": [2.0, 1.0]}}, 2)
    assert [trace.name for trace in figure.data] == ["loss"]
    assert not figure.layout.showlegend


def test_accuracies_have_the_colours_of_clean_and_attacked():
    figure = accuracy_by_epoch(CURVES, 2)
    colors = {trace.name: trace.line.color for trace in figure.data}
    assert colors["held-out images"] == COLORS["light"]["clean"]
    assert colors["the same, attacked"] == COLORS["light"]["adversarial"]
    table = rows(figure)
    assert {"trace": "training images", "epoch": "2", "accuracy": "0.75"} in table
    assert {"trace": "the same, attacked", "epoch": "1", "accuracy": ""} in table


def test_intervals_go_from_low_to_high():
    model = {"label": "a", "epsilons": [0.0, 0.1], "accuracy": [0.9, 0.5], "low": [0.8, 0.25], "high": [1.0, 0.75]}
    (line,) = accuracy_by_strength([model]).data
    assert line.error_y.array.tolist() == pytest.approx([0.1, 0.25])
    assert line.error_y.arrayminus.tolist() == pytest.approx([0.1, 0.25])
    with pytest.raises(ValueError, match="one a strength"):
        accuracy_by_strength([{**model, "low": [0.8]}])


def test_a_layer_that_a_model_lacks_is_a_gap():
    models = [{"label": "a", "values": {"x": 0.5, "y": 0.25}}, {"label": "b", "values": {"y": 1.0}}]
    figure = models_by_layer(["x", "y"], models, "mean<br>sensitivity")
    assert [row["mean sensitivity"] for row in rows(figure)] == ["0.5", "0.25", "", "1.0"]
    assert figure.data[1].y.tolist()[1] == 1.0
    assert models_by_layer(["x"], [{"label": "a", "values": [0.5]}], "share", is_share=True).layout.yaxis.tickformat


def test_every_epoch_has_a_box_and_a_point():
    figure = training_phases(EPOCHS)
    boxes, accuracy, density = figure.data
    assert list(boxes.x) == [1, 1]
    assert list(boxes.y) == [0.25, 0.5]
    assert list(accuracy.y) == [0.5, 0.75]
    assert density.y.tolist()[0] == 0.125
    assert {"trace": "similarity of two classes", "epoch": "1", "similarity": "0.5"}.items() <= rows(figure)[1].items()
    assert training_phases([]).data
