"""The figures of the Route page."""

import csv
import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.figures.damping import weakening_curves
from dashboard.figures.hardness import hardness_groups
from dashboard.figures.intervened import intervened_probabilities
from dashboard.figures.intervention_bars import deactivation_bars, repair_bars
from dashboard.figures.on_off import QUANTITIES, on_off
from dashboard.figures.path_change import path_change
from dashboard.figures.route_map import route_map
from dashboard.figures.split_maps import split_maps
from dashboard.figures.table import figure_table
from dashboard.figures.theme import COLORS


def layer(name, occurrence, chosen=()):
    return {"name": name, "units": len(occurrence), "occurrence": occurrence, "chosen": list(chosen)}


def contrasted(name, on, off, p=0.01):
    ratio = None if on is None or not off else on / off
    found = {"on": on, "off": off, "ratio": ratio, "p": p}
    return {"layer": name, "sensitivity": found, "gradient": found}


def repaired(route, control, **place):
    return {"route": route, "control": control, "units": 5, "control_units": 4} | (place or {"layer": "<b>"})


def deactivated(name, clean=0.75, adversarial=0.25):
    sides = {"clean": (clean, [1.0, 0.5]), "adversarial": (adversarial, [0.0, 0.5])}
    found = {side: {"route": route, "control": control} for side, (route, control) in sides.items()}
    return {"layer": name, "units": 5, "control_units": 4} | found


def weakened(layers=("<b>", "fc")):
    found = {"route": [1.0, 0.5], "control": [[1.0, 0.75], [1.0, 0.25]]}
    return {"layers": list(layers), "betas": [1.0, 0.0], "weights": 250, "clean": found, "adversarial": found}


LAYERS = [layer("<b>", [0.25, 1.0, 0.5], [1]), layer("conv2", [0.0, 0.0, 0.75, 0.5], [2, 3])]
EVERY = {
    "map": lambda theme: route_map(LAYERS, theme, {"<b>": [0]}),
    "on and off": lambda theme: on_off([contrasted("<b>", 1.0, None, None)], "gradient", theme),
    "repair": lambda theme: repair_bars([repaired(None, [0.5, None])], theme),
    "deactivation": lambda theme: deactivation_bars([deactivated("<b>", None)], theme),
    "weakening": lambda theme: weakening_curves(weakened(), theme),
    "hardness": lambda theme: hardness_groups([0.25, None, 1.0], 0.1, theme, [2, 0, 2]),
    "probabilities": lambda theme: intervened_probabilities(["<b>", "b"], [1, 0], [0, 1], [0.5, None], theme),
}


def rows(figure):
    return list(csv.DictReader(io.StringIO(figure_table(figure))))


def told(figure):
    return {trace.name: trace for trace in figure.data if trace.hoverinfo != "skip"}


@pytest.mark.parametrize("name", EVERY)
def test_every_figure_has_a_table_that_survives_the_browser(name, theme):
    figure = EVERY[name](theme)
    assert rows(figure)
    assert figure_table(go.Figure(json.loads(figure.to_json()))) == figure_table(figure)


@pytest.mark.parametrize("name", EVERY)
def test_names_are_never_markup(name, theme):
    text = EVERY[name](theme).update_traces(customdata=None).to_json().replace("\\u003c", "<").replace("\\u003e", ">")
    assert "<b>" not in text
    assert ("&lt;b&gt;" in text or "\\u0026lt;b" in text) == (name != "hardness")


@pytest.mark.parametrize("name", EVERY)
def test_every_figure_is_drawn_on_the_paper_of_its_theme(name, theme):
    assert EVERY[name](theme).layout.template.layout.paper_bgcolor == COLORS[theme]["paper"]


def test_units_stand_by_how_often_they_are_on_a_route(theme):
    drawn = told(route_map(LAYERS, theme))
    route, other = drawn["on the model’s route"], drawn["other units"]
    assert [row[:3] for row in route.customdata] == [["<b>", 1, 1.0], ["conv2", 2, 0.75], ["conv2", 3, 0.5]]
    assert [row[:3] for row in other.customdata] == [
        ["<b>", 2, 0.5], ["<b>", 0, 0.25], ["conv2", 0, 0.0], ["conv2", 1, 0.0],
    ]  # fmt: skip
    assert list(route.x) == [0, 1, 1]
    heights = {
        (row[0], row[1]): y for trace in (route, other) for row, y in zip(trace.customdata, trace.y, strict=True)
    }
    assert heights["<b>", 1] > heights["<b>", 2] > heights["<b>", 0]
    assert heights["conv2", 2] > heights["conv2", 3] > heights["conv2", 0] > heights["conv2", 1]
    assert heights["<b>", 1] == heights["conv2", 2]
    assert route.marker.line.color == COLORS[theme]["adversarial"]
    assert other.marker.line.color == COLORS[theme]["muted"]
    assert route.marker.symbol != other.marker.symbol


def test_a_mark_is_as_strong_as_its_unit_is_frequent():
    route, other = (told(route_map(LAYERS))[name] for name in ("on the model’s route", "other units"))
    opacities = [float(color.rstrip(")").split(",")[-1]) for color in (*route.marker.color, *other.marker.color)]
    frequent = [row[2] for row in (*route.customdata, *other.customdata)]
    assert opacities[0] == 1
    assert min(opacities) > 0
    assert np.argsort(opacities, kind="stable").tolist() == np.argsort(frequent, kind="stable").tolist()


def test_the_route_of_an_image_has_rings_that_let_clicks_through(theme):
    figure = route_map(LAYERS, theme, {"conv2": np.array([3, 0]), "elsewhere": [1]})
    (rings,) = [trace for trace in figure.data if trace.hoverinfo == "skip"]
    assert rings.marker.symbol == "circle-open"
    places = {(x, y) for x, y in zip(rings.x, rings.y, strict=True)}
    ringed = {
        (row[0], row[1])
        for trace in told(figure).values()
        for row, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
        if (x, y) in places
    }
    assert ringed == {("conv2", 3), ("conv2", 0)}
    assert {row["unit"] for row in rows(figure) if row["on this image’s route"] == "yes"} == {"3", "0"}
    assert {row["on this image’s route"] for row in rows(route_map(LAYERS, theme))} == {""}


def test_wide_layers_show_their_most_frequent_units_and_say_so():
    wide = layer("conv5", np.linspace(0, 1, 512).tolist(), range(400, 512))
    figure = route_map([wide, layer("small", [0.5])], "light", {"conv5": [511, 3, 4], "small": [0]})
    units = [row[1] for trace in told(figure).values() for row in trace.customdata if row[0] == "conv5"]
    assert sorted(units) == list(range(448, 512))
    assert "448 rarer units are not drawn, 2 of them on this image’s route" in figure.layout.xaxis.title.text
    assert list(figure.layout.xaxis.ticktext) == ["conv5<br>64 of 512 units", "small<br>1 units"]
    assert "not drawn" not in route_map(LAYERS).layout.xaxis.title.text


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 200), st.integers(1, 80))
def test_no_two_marks_stand_in_one_place(layers, units, most):
    figure = route_map([layer(f"conv{place}", [0.5] * units, [0]) for place in range(layers)], most=most)
    places = [place for trace in figure.data for place in zip(trace.x.tolist(), trace.y.tolist(), strict=True)]
    assert len(set(places)) == len(places) == layers * min(units, most)
    assert all(0 < y < 1 for _, y in places)
    for trace in figure.data:
        columns = [int(row[0].removeprefix("conv")) for row in trace.customdata]
        assert (np.abs(trace.x - columns) < 0.5).all()


def test_many_layers_have_upright_names_and_a_taller_figure():
    many = route_map([layer(f"layer{place}.0.conv1:act", [0.5] * 64, [0]) for place in range(20)])
    assert many.layout.xaxis.autotickangles == (-90,)
    assert many.layout.height > route_map(LAYERS).layout.height
    assert route_map(LAYERS).layout.xaxis.autotickangles == (0, -90)


def test_a_map_of_nothing(theme):
    assert figure_table(route_map([], theme, {})) == "trace\n"


def test_on_and_off_the_route_have_a_mark_each(theme):
    figure = on_off([contrasted("conv1", 2.0, 1.0, 0.03), contrasted("fc", None, 3.0, None)], "sensitivity", theme)
    drawn = told(figure)
    np.testing.assert_array_equal(drawn["on the route"].y, [2.0, np.nan])
    assert list(drawn["other units"].y) == [1.0, 3.0]
    assert drawn["on the route"].marker.color == COLORS[theme]["adversarial"]
    assert drawn["other units"].marker.color == COLORS[theme]["muted"]
    assert list(drawn["on the route"].text) == [
        "on the route 2 times the others<br>Mann–Whitney p = 0.03", "nothing to compare with",
    ]  # fmt: skip
    assert rows(figure)[0] == {
        "trace": "other units", "layer": "conv1", "units": "other units", "mean": "1.0", "ratio": "2.0", "p": "0.03",
    }  # fmt: skip
    (links,) = [trace for trace in figure.data if trace.hoverinfo == "skip"]
    assert list(links.y) == [2.0, 1.0, None]


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_on_and_off_are_logarithmic_over_a_wide_span(quantity):
    assert on_off([contrasted("conv1", 1e-4, 1e-2)], quantity).layout.yaxis.type == "log"
    assert on_off([contrasted("conv1", 1.0, 1.0)], quantity).layout.yaxis.type == "linear"
    assert on_off([], quantity).layout.yaxis.title.text == QUANTITIES[quantity]


def test_other_quantities_are_refused():
    with pytest.raises(ValueError, match="sensitivity, gradient, got 'votes'"):
        on_off([], "votes")


def test_repair_shows_the_control_with_the_range_of_its_draws(theme):
    figure = repair_bars(
        [repaired(0.5, [0.25, 0.75, 0.5], layer="conv1"), repaired(None, [None] * 3, layer="fc")], theme
    )
    route, control = figure.data
    np.testing.assert_array_equal(route.y, [0.5, np.nan])
    np.testing.assert_array_equal(control.y, [0.5, np.nan])
    assert (control.error_y.array[0], control.error_y.arrayminus[0]) == (0.25, 0.25)
    assert route.error_y.array is None
    assert (route.marker.color, control.marker.color) == (COLORS[theme]["adversarial"], COLORS[theme]["muted"])
    assert rows(figure)[2] == {
        "trace": "control (other units)", "layer": "conv1", "changed units": "control", "units": "4", "share": "0.5",
        "lowest draw": "0.25", "highest draw": "0.75",
    }  # fmt: skip


def test_cumulative_repair_stands_at_the_last_layer():
    first, second = (repaired(0.5, [0.5], layers=layers) for layers in (["conv1"], ["conv1", "conv2"]))
    figure = repair_bars([first, second])
    assert list(figure.data[0].x) == ["conv1", "conv2"]
    assert figure.layout.xaxis.title.text.startswith("last of the layers")
    assert repair_bars([repaired(0.5, [0.5])]).layout.xaxis.title.text.startswith("layer ")


def test_deactivation_has_both_sides_with_their_controls(theme):
    bars = told(deactivation_bars([deactivated("conv1"), deactivated("fc", 0.5, None)], theme))
    assert list(bars) == ["clean", "clean, control", "attacked", "attacked, control"]
    assert list(bars["clean"].y) == [0.75, 0.5]
    assert list(bars["clean, control"].y) == [0.75, 0.75]
    np.testing.assert_array_equal(bars["attacked"].y, [0.25, np.nan])
    assert list(bars["attacked, control"].y) == [0.25, 0.25]
    assert (bars["clean"].marker.color, bars["attacked"].marker.color) == (
        COLORS[theme]["clean"],
        COLORS[theme]["adversarial"],
    )
    assert bars["clean, control"].marker.line.color == COLORS[theme]["clean"]
    assert bars["attacked, control"].marker.line.color == COLORS[theme]["adversarial"]


@pytest.mark.parametrize("draw", [repair_bars, deactivation_bars])
def test_bars_of_no_layers(draw, theme):
    assert figure_table(draw([], theme)) == "trace\n"


def test_weakening_is_read_like_suppression(theme):
    drawn = told(weakening_curves(weakened(), theme))
    assert list(drawn) == ["clean", "clean, control", "attacked", "attacked, control"]
    assert list(drawn["clean"].x) == [1.0, 0.0]
    assert list(drawn["attacked, control"].y) == [1.0, 0.5]
    assert drawn["attacked, control"].line.dash == "dash"
    assert drawn["attacked"].line.color == COLORS[theme]["adversarial"]


def test_weakening_says_which_weights():
    title = weakening_curves(weakened()).layout.xaxis.title.text
    assert title == "factor β on 250 weights between route units<br>of &lt;b&gt; and fc"
    assert weakening_curves(weakened(["a", "b", "c"])).layout.xaxis.title.text.endswith("of 3 layers, a to c")


def test_hardness_runs_from_easiest_to_hardest(theme):
    figure = hardness_groups([0.25, 0.5, None, 0.75, 1.0], 2 / 255, theme, [20, 20, 0, 20, 20])
    (bars,) = figure.data
    assert list(bars.x) == ["easiest", "group 2", "group 3", "group 4", "hardest"]
    np.testing.assert_array_equal(bars.y, [0.25, 0.5, np.nan, 0.75, 1.0])
    assert list(bars.text) == ["25%", "50%", "", "75%", "100%"]
    assert bars.marker.color == COLORS[theme]["accent"]
    assert "ε = 0.00784" in figure.layout.yaxis.title.text
    assert "a fifth" in figure.layout.xaxis.title.text
    assert rows(figure)[0] == {
        "trace": "images that withstand FGSM", "group": "easiest", "share": "0.25", "images": "20",
    }  # fmt: skip


def test_one_group_is_neither_easiest_nor_hardest():
    assert list(hardness_groups([0.5], 0.1).data[0].x) == ["group 1"]


def test_counts_must_be_one_a_group():
    with pytest.raises(ValueError, match="Expected 2 counts, one a group, got 1"):
        hardness_groups([0.5, 0.5], 0.1, counts=[3])


def test_the_intervention_has_a_colour_of_its_own(theme):
    figure = intervened_probabilities(["a", "b", "c"], [0.75, 0.25, 0], [0, 1, 0], [0.25, 0.25, 0.5], theme, k=1)
    bars = told(figure)
    assert list(bars) == ["clean", "adversarial", "under the intervention"]
    assert [list(bar.y) for bar in bars.values()] == [["b", "a", "c"]] * 3
    assert list(bars["under the intervention"].x) == [0.25, 0.25, 0.5]
    assert [bar.marker.color for bar in bars.values()] == [
        COLORS[theme][meaning] for meaning in ("clean", "adversarial", "accent")
    ]


def test_probabilities_must_fit_the_classes():
    with pytest.raises(ValueError, match="Expected 2 probabilities"):
        intervened_probabilities(["a", "b"], [1, 0], [0, 1], [1, 0, 0])


def test_the_path_change_is_in_shares_of_each_layer():
    figure = path_change(["a", "b"], np.array([[1, 2, 1], [0, 0, 0]]))
    assert [bar.y[0] for bar in figure.data] == [0.25, 0.5, 0.25]
    assert [bar.y[1] for bar in figure.data] == [0, 0, 0]
    assert "only before,a,only before,1,0.25" in figure_table(figure)
    with pytest.raises(ValueError, match="three counts"):
        path_change(["a"], np.zeros((2, 3), int))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_split_maps_share_one_scale(channels, theme):
    random = np.random.default_rng(0)
    images = random.random((2, channels, 4, 4), dtype=np.float32)
    heat = random.random((2, 2, 4, 4), dtype=np.float32)
    figure = split_maps(images, heat[0], heat[1], ["clean: 8", "attacked: 3"], 2.0, theme)
    drawn_heat = [trace for trace in figure.data if isinstance(trace, go.Heatmap) and trace.name.endswith("heat")]
    assert [trace.zmax for trace in drawn_heat] == [2.0] * 4
    assert sum(bool(trace.showscale) for trace in drawn_heat) == 1
    assert np.array_equal(drawn_heat[3].z, heat[1, 1])
    assert "attacked: 3, all other units, heat" in figure_table(figure)
