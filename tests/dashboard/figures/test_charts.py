"""The bars and lines: probabilities, similarities, densities."""

import numpy as np
import pytest

from dashboard.figures.density import density_growth, density_per_layer
from dashboard.figures.probabilities import top_probabilities
from dashboard.figures.similarity import layer_similarity, pair_similarity
from dashboard.figures.theme import COLORS

LAYERS = ("conv1", "fc1", "fc2")


def traces(figure):
    return {trace.name: trace for trace in figure.data}


def test_top_probabilities_show_the_union(theme):
    before, after = np.array([0.6, 0.3, 0.1, 0.0]), np.array([0.1, 0.0, 0.2, 0.7])
    figure = top_probabilities(["a", "b", "c", "d"], before, after, theme, k=2)
    bars = traces(figure)
    assert list(bars["clean"].y) == list(bars["adversarial"].y) == ["d", "a", "b", "c"]
    assert list(bars["clean"].x) == [0.0, 0.6, 0.3, 0.1]
    assert list(bars["adversarial"].x) == [0.7, 0.1, 0.0, 0.2]
    assert bars["clean"].marker.color == COLORS[theme]["clean"]
    assert bars["adversarial"].marker.color == COLORS[theme]["adversarial"]


def test_top_probabilities_of_one_image():
    figure = top_probabilities(["a", "b", "c"], np.array([0.2, 0.7, 0.1]), k=2)
    assert [list(trace.y) for trace in figure.data] == [["b", "a"]]
    assert figure.layout.showlegend is False


def test_probabilities_take_the_pinned_image_as_a_third_bar(theme):
    before, after, pinned = np.eye(4)[:3]
    bars = traces(top_probabilities(["a", "b", "c", "d"], before, after, theme, 1, pinned))
    assert list(bars) == ["clean", "adversarial", "reference"]
    assert list(bars["reference"].y) == ["a", "b", "c"]
    assert bars["reference"].marker.color == COLORS[theme]["reference"]


def test_probabilities_can_be_read():
    figure = top_probabilities(["a class of a very long name", "b"], np.array([0.9998, 0.0002]))
    (bars,) = figure.data
    assert list(bars.text) == ["100.0%", ""]
    assert (bars.constraintext, bars.textfont.size) == ("none", 11)
    assert figure.layout.xaxis.showticklabels is False
    assert len(figure.layout.yaxis.ticktext[0]) <= 12


def test_classes_of_one_name_keep_their_own_bars():
    figure = top_probabilities(["crane", "crane"], np.array([0.3, 0.7]))
    assert list(figure.data[0].y) == ["crane (1)", "crane (0)"]


def test_class_names_are_never_markup():
    figure = top_probabilities(['<a href="x">y</a>', "b"], np.array([0.9, 0.1]))
    assert figure.data[0].y[0] == '&lt;a href="x"&gt;y&lt;/a&gt;'
    assert "<a" not in figure.to_json().replace("\\u003c", "<")


def test_probabilities_must_fit_the_classes():
    with pytest.raises(ValueError, match=r"Expected 2 probabilities \(adversarial\), one a class, got \(3,\)"):
        top_probabilities(["a", "b"], np.array([0.5, 0.5]), np.ones(3))


def test_layer_similarity(theme):
    figure = layer_similarity(
        LAYERS, [1.0, 0.9, 0.95], {"conv1": 0.8, "fc2": 0.7}, ([0.9] * 3, [1.0] * 3), [0.99, 0.98, 0.97], theme
    )
    lines = traces(figure)
    assert list(lines["clean"].y) == [1.0, 0.9, 0.95]
    np.testing.assert_array_equal(lines["adversarial"].y, [0.8, np.nan, 0.7])
    assert list(lines["reference"].y) == [0.99, 0.98, 0.97]
    assert list(lines["normal, lower"].y) == [0.9] * 3
    assert lines["normal, upper"].fill == "tonexty"
    drawn = [lines[name] for name in ("clean", "adversarial", "reference")]
    assert len({line.line.dash for line in drawn}) == len({line.marker.symbol for line in drawn}) == 3


@pytest.mark.parametrize(("lowest", "floor"), [(0.97, 0.9), (0.71, 0.6), (0.55, 0.5), (0.4, 0.0)])
def test_layer_similarity_zooms(lowest, floor):
    low, high = layer_similarity(LAYERS, [1.0, lowest, 1.0]).layout.yaxis.range
    assert low == pytest.approx(floor)
    assert 1.0 < high < 1.05


def test_layer_similarity_of_nothing_has_an_axis():
    assert layer_similarity(LAYERS, None).layout.yaxis.range[0] == 0


def test_series_must_fit_the_layers():
    with pytest.raises(ValueError, match="Expected 3 values"):
        layer_similarity(LAYERS, [1.0, 0.5])


def test_pair_similarity(theme):
    (bars,) = pair_similarity(LAYERS, {"fc1": 0.5, "conv1": 0.25, "fc2": 0.75}, theme).data
    assert list(bars.x) == list(LAYERS)
    assert list(bars.y) == [0.25, 0.5, 0.75]


def test_a_pair_is_named_in_its_figure():
    figure = pair_similarity(["fc"], [0.5], classes=("cat", "a class of a very long name"))
    assert figure.data[0].name == "cat and a class of a very long…"
    assert figure.layout.showlegend is True


def test_layer_similarity_says_what_its_band_is_and_what_it_leaves_out():
    figure = layer_similarity(["fc"], [0.5], band=([0.4], [0.9]), band_images=173, notes=["<b>: no path"])
    assert "173 normal test images" in traces(figure)
    assert figure.layout.annotations[0].text == "&lt;b&gt;: no path"


def test_density_per_layer(theme):
    figure = density_per_layer(LAYERS, {"clean": [0.1, 0.2, 0.3], "digit <3>": {"conv1": 0.4}}, theme)
    assert [trace.name for trace in figure.data] == ["clean", "digit &lt;3&gt;"]
    assert list(figure.data[0].y) == [0.1, 0.2, 0.3]
    assert figure.data[0].marker.color == COLORS[theme]["clean"]
    assert figure.layout.yaxis.tickformat.endswith("%")


def test_density_growth(theme):
    (line,) = density_growth(["0", "1", "2"], np.array([0.05, 0.08, 0.1]), theme).data
    assert list(line.x) == ["0", "1", "2"]
    assert list(line.y) == [0.05, 0.08, 0.1]


def test_long_class_names_are_shortened_where_density_grows():
    figure = density_growth(["cat", "a class of a very long name"], [0.1, 0.2])
    assert figure.layout.xaxis.ticktext == ("cat", "a class of a…")
    assert list(figure.data[0].x) == ["cat", "a class of a very long name"]


def test_of_a_thousand_classes_a_few_have_a_tick_where_density_grows():
    names = [f"a class of the name {number}" for number in range(1000)]
    figure = density_growth(names, np.linspace(0.1, 0.2, 1000))
    assert figure.layout.xaxis.tickvals == tuple(names[::100])
    assert max(map(len, figure.layout.xaxis.ticktext)) <= 14
    assert list(figure.data[0].x) == names


def test_long_layer_names_lose_their_middle():
    figure = pair_similarity(["layer2.0.downsample.0"], [0.5])
    assert figure.layout.xaxis.ticktext == ("layer2.0…ample.0",)
    assert list(figure.data[0].x) == ["layer2.0.downsample.0"]
