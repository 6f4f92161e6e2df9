"""The figures of the Sensitivity page."""

import csv
import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.figures.agreement import agreement_bars
from dashboard.figures.axes import share_axis, value_axis
from dashboard.figures.damping import suppression_curves
from dashboard.figures.importance import importance_scatter
from dashboard.figures.ratio_curves import ratio_by_layer, ratio_by_strength
from dashboard.figures.regions import heat_over, outline, region_grid
from dashboard.figures.spread import spread
from dashboard.figures.table import figure_table
from dashboard.figures.theme import COLORS
from dashboard.figures.unit_bars import sensitivity_curves


def model(sensitivity, label="a"):
    return {"label": label, "sensitivity": sensitivity}


def suppressed(**changes):
    curves = {
        "sensitive": {"clean": [1.0, 0.75, 0.5], "adversarial": [0.25, 0.5, None]},
        "control": {"clean": [[1.0, 0.75, 0.75], [1.0, 1.0, 0.25]], "adversarial": [[0.25, None, None]] * 2},
    }
    return {"layer": "fc<1>", "betas": [1.0, 0.75, 0.5], "units": 3, "disjoint": True} | curves | changes


def gray(count, value=0.5):
    return np.full((count, 1, 2, 3), value, dtype=np.float32)


MASK = np.array([[True, False, False], [False, False, True]])
EVERY = {
    "bars": lambda theme: sensitivity_curves("<b>", [model([0.5, None, 2.0])], {2}, theme),
    "area": lambda theme: sensitivity_curves("<b>", [model(np.arange(1100.0).tolist())], {3}, theme),
    "lines": lambda theme: sensitivity_curves("<b>", [model([1, None]), model([2, 3, 4], "<i>")], {0}, theme),
    "ratios": lambda theme: ratio_by_layer(["<b>", "fc"], [{"label": "<i>", "ratios": [0.5, None]}], theme),
    "strengths": lambda theme: ratio_by_strength([0.1, 0.2], ["<b>"], [[0.5], [None]], [0.25, None], theme),
    "importance": lambda theme: importance_scatter("<b>", [1, None], [2, 3], [4, 5], theme, class_name="<i>"),
    "agreement": lambda theme: agreement_bars([{"layer": "<b>", "levenshtein": 0.5, "jaccard": None}], theme),
    "suppression": lambda theme: suppression_curves(suppressed(), theme),
    "regions": lambda theme: region_grid(gray(1), gray(1), MASK[None], MASK[None], theme),
    "heat": lambda theme: heat_over(gray(1)[0], np.arange(6.0).reshape(2, 3), 5, theme, has_bar=True),
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
    assert "<i>" not in text


@pytest.mark.parametrize("name", EVERY)
def test_every_figure_is_drawn_on_the_paper_of_its_theme(name, theme):
    assert EVERY[name](theme).layout.template.layout.paper_bgcolor == COLORS[theme]["paper"]


def test_units_stand_in_falling_order_equals_by_their_id(theme):
    figure = sensitivity_curves("conv1", [model([0.5, 2.0, None, 0.5, 1.0])], {1, 3}, theme)
    sensitive, other = figure.data
    assert (sensitive.name, other.name) == ("sensitive (2)", "other units (2)")
    assert [row[:3] for row in sensitive.customdata] == [["conv1", 1, 1], ["conv1", 3, 4]]
    assert [row[:3] for row in other.customdata] == [["conv1", 4, 2], ["conv1", 0, 3]]
    assert (list(sensitive.x), list(sensitive.y)) == ([1, 4], [2.0, 0.5])
    assert sensitive.marker.color == COLORS[theme]["adversarial"]
    assert other.marker.color == COLORS[theme]["muted"]
    assert rows(figure)[0] == {
        "trace": "sensitive (2)", "layer": "conv1", "unit": "1", "rank": "1", "sensitivity": "2.0", "sensitive": "yes",
    }  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.floats(0, 10) | st.none(), min_size=1, max_size=60), st.sets(st.integers(0, 59)))
def test_every_unit_with_a_value_has_one_bar(values, chosen):
    figure = sensitivity_curves("a", [model(values)], chosen)
    drawn = sorted((row for trace in figure.data for row in trace.customdata), key=lambda row: row[2])
    assert sorted(row[1] for row in drawn) == [unit for unit, value in enumerate(values) if value is not None]
    assert [row[3] for row in drawn] == sorted((row[3] for row in drawn), reverse=True)
    assert all((row[4] == "yes") == (row[1] in chosen) and row[3] == values[row[1]] for row in drawn)


@pytest.mark.parametrize(("units", "kind"), [(1, "bar"), (1000, "bar"), (1024, "bar"), (1025, "scatter")])
def test_many_units_become_one_filled_line(units, kind, theme):
    figure = sensitivity_curves("fc", [model([0.25] * units)], {0}, theme)
    assert {trace.type for trace in figure.data} == {kind}
    assert sorted(int(row["unit"]) for row in rows(figure)) == list(range(units))
    assert figure.layout.xaxis.range[1] > units


def test_the_filled_line_marks_sensitive_units_where_they_stand(theme):
    values = np.arange(2000.0)
    figure = sensitivity_curves("fc", [model(values.tolist())], {1999, 1997}, theme)
    everything, marked = figure.data
    assert everything.customdata[0][:2] == ["fc", 1999]
    assert marked.hoverinfo == "skip"
    assert list(marked.y[:4]) == [1999, 0, 1997, 0]
    assert not marked.y[4:].any()
    assert (marked.fillcolor, everything.fillcolor) == (COLORS[theme]["adversarial"], COLORS[theme]["muted"])


def test_several_models_share_an_axis_of_shares(theme):
    figure = sensitivity_curves("fc", [model([1, 4, 2, 3]), model([5, 6], "b")], {1}, theme)
    first, second = figure.data
    assert (list(first.x), list(first.y)) == ([0.25, 0.5, 0.75, 1], [4, 3, 2, 1])
    assert (list(second.x), list(second.y)) == ([0.5, 1], [6, 5])
    assert first.line.color != second.line.color
    assert first.line.dash != second.line.dash
    assert [row[4] for row in first.customdata] == ["yes", "no", "no", "no"]
    assert {row[4] for row in second.customdata} == {"no"}
    assert figure.layout.xaxis.tickformat == ".0%"


@pytest.mark.parametrize("models", [[], [model([])], [model([None])], [model([]), model([])]])
def test_no_units(models, theme):
    assert figure_table(sensitivity_curves("fc", models, (), theme)) == "trace\n"


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1, 30], "linear"), ([1, 31], "log"), ([0, 31, 1], "linear"), ([np.nan, 2, 2], "linear"), ([], "linear")],
)
def test_an_axis_is_logarithmic_where_values_span_more_than_thirty_times(values, kind):
    assert value_axis(values)["type"] == kind


@given(st.floats(1e-12, 1e6), st.floats(31, 1e12))
def test_a_logarithmic_axis_holds_its_values_and_has_some_ticks_inside(low, factor):
    axis = value_axis([low, low * factor])
    assert axis["range"][0] < np.log10(low) < np.log10(low * factor) < axis["range"][1]
    assert 1 <= len(axis["tickvals"]) == len(set(axis["ticktext"])) <= 9
    assert all(axis["range"][0] <= np.log10(tick) <= axis["range"][1] for tick in axis["tickvals"])


def test_ticks_far_from_one_are_powers_of_ten():
    texts = dict(zip(*(value_axis([2e-6, 0.6])[key] for key in ("tickvals", "ticktext")), strict=True))
    assert texts[1e-05] == "10<sup>−5</sup>"
    assert texts[0.1] == "0.1"
    assert value_axis([2e-6, 7e-5])["ticktext"] == [
        "2·10<sup>−6</sup>", "5·10<sup>−6</sup>", "10<sup>−5</sup>", "2·10<sup>−5</sup>", "5·10<sup>−5</sup>",
    ]  # fmt: skip
    assert value_axis([1e-4, 3.2e-3])["ticktext"] == ["0.0001", "0.0002", "0.0005", "0.001", "0.002"]


@given(st.lists(st.floats(0, 1), max_size=5))
def test_an_axis_of_shares_holds_its_values_and_a_tenth(values):
    low, high = share_axis([*values, np.nan])["range"]
    assert high - low > 0.1
    assert all(low < value < high for value in values)


def test_ratios_are_a_line_a_model_on_a_logarithmic_axis(theme):
    models = [{"label": "a", "ratios": [0.01, None]}, {"label": "b", "ratios": {"fc": 1.0}}]
    figure = ratio_by_layer(["conv1", "fc"], models, theme)
    np.testing.assert_array_equal([trace.y for trace in figure.data], [[0.01, np.nan], [np.nan, 1.0]])
    assert [list(trace.x) for trace in figure.data] == [["conv1", "fc"]] * 2
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.showlegend is True
    assert ratio_by_layer(["fc"], [{"label": "a", "ratios": [0.1]}]).layout.showlegend is False


def test_ratios_must_be_one_a_layer():
    with pytest.raises(ValueError, match="Expected 2 values, one a layer"):
        ratio_by_layer(["conv1", "fc"], [{"label": "a", "ratios": [1.0]}])
    with pytest.raises(ValueError, match=r"shape \(2, 1\), got \(2, 2\)"):
        ratio_by_strength([0.1, 0.2], ["fc"], [[1, 2], [3, 4]], [0, 1])


def test_ratios_rise_with_strength_beside_the_share_misled(theme):
    figure = ratio_by_strength([0.1, 0.2], ["conv1", "fc"], [[0.5, 1], [1.5, 2]], [0.25, 0.75], theme)
    drawn = told(figure)
    assert list(drawn["conv1"].y) == [0.5, 1.5]
    assert list(drawn["fc"].y) == [1, 2]
    misled = drawn["images misled"]
    assert (list(misled.y), misled.yaxis) == ([0.25, 0.75], "y2")
    assert (misled.line.color, misled.line.dash) == (COLORS[theme]["muted"], "dot")
    assert figure.layout.yaxis2.side == "right"
    assert list(figure.layout.xaxis.ticktext) == ["0.1", "0.2"]
    assert {"trace": "fc", "strength": "0.2", "images misled": "", "layer": "fc", "ratio": "2.0"} in rows(figure)


def test_many_layers_are_coloured_by_their_depth_and_some_have_keys(theme):
    layers = [f"conv{place}" for place in range(20)]
    figure = ratio_by_strength([0.1], layers, [list(range(20))], [1.0], theme)
    lines = [trace for trace in figure.data if trace.name in layers]
    assert len({line.line.color for line in lines}) == 20
    keys = [line.name for line in lines if line.showlegend is not False]
    assert keys[0] == "conv0"
    assert keys[-1] == "conv19"
    assert len(keys) == 5


def test_no_strengths(theme):
    assert figure_table(ratio_by_strength([], ["fc"], [], [], theme)) == "trace\n"


def test_units_are_marked_by_the_lists_they_are_in(theme):
    figure = importance_scatter(
        "fc", [4, 3, 2, 1, None], [0.5, -1, 2, 0, 1], [9, 0, 8, 0, 0], theme, class_name="cat", spearman=0.4, k=2
    )
    groups = {trace.name: [row[1] for row in trace.customdata] for trace in figure.data}
    assert groups == {"other (1)": [3], "sensitive (1)": [1], "important (1)": [2], "both (1)": [0]}
    meanings = {"other": "muted", "sensitive": "adversarial", "important": "accent", "both": "shared"}
    for trace in figure.data:
        assert trace.marker.color == COLORS[theme][meanings[trace.name[:-4]]]
    assert len({trace.marker.symbol for trace in figure.data}) >= 3
    assert figure.layout.xaxis.title.text.endswith("<br>target class cat, Spearman’s rank correlation 0.40")
    (both,) = [trace for trace in figure.data if trace.name == "both (1)"]
    assert (both.customdata[0], both.x[0], both.y[0]) == (["fc", 0, 4, 0.5, 9, "yes", "yes"], 4, 0.5)


def test_units_without_votes_are_not_important():
    figure = importance_scatter("fc", [1.0, 1.0], [5.0, 6.0], [0, 0], k=20, spearman=None)
    assert [trace.name for trace in figure.data] == ["sensitive (2)"]
    assert "Spearman" not in figure.layout.xaxis.title.text


def test_importance_needs_lists_of_one_length():
    with pytest.raises(ValueError, match="of one length, got 2, 1, 2"):
        importance_scatter("fc", [1, 2], [1], [1, 2])


def test_agreement_has_two_bars_a_layer(theme):
    entries = [
        {"layer": "conv1", "levenshtein": 0.75, "jaccard": 0.5},
        {"layer": "fc", "levenshtein": None, "jaccard": 0},
    ]
    bars = told(agreement_bars(entries, theme))
    np.testing.assert_array_equal(bars["same order (Levenshtein)"].y, [0.75, np.nan])
    assert list(bars["same units (Jaccard)"].y) == [0.5, 0]
    meanings = {COLORS[theme][meaning] for meaning in ("clean", "adversarial", "shared", "reference")}
    assert not {bar.marker.color for bar in bars.values()} & meanings
    assert figure_table(agreement_bars([], theme)) == "trace\n"


def test_suppression_is_solid_and_its_control_dashed_with_a_band(theme):
    figure = suppression_curves(suppressed(), theme)
    drawn = told(figure)
    assert list(drawn) == ["clean", "clean, control", "attacked", "attacked, control"]
    assert list(drawn["clean"].y) == [1.0, 0.75, 0.5]
    assert list(drawn["clean, control"].y) == [1.0, 0.875, 0.5]
    np.testing.assert_array_equal(drawn["attacked"].y, [0.25, 0.5, np.nan])
    np.testing.assert_array_equal(drawn["attacked, control"].y, [0.25, np.nan, np.nan])
    assert [line.line.dash for line in drawn.values()] == ["solid", "dash"] * 2
    assert [line.line.color for line in drawn.values()] == [COLORS[theme]["clean"]] * 2 + [
        COLORS[theme]["adversarial"]
    ] * 2
    clean, attacked = (trace for trace in figure.data if trace.fill == "toself")
    assert list(clean.x) == [1.0, 0.75, 0.5, 0.5, 0.75, 1.0]
    assert list(clean.y) == [1.0, 0.75, 0.25, 0.75, 1.0, 1.0]
    assert list(attacked.x) == [1.0, 1.0]


def test_the_factor_falls_from_left_to_right_and_the_axis_says_on_what():
    axis = suppression_curves(suppressed()).layout.xaxis
    assert axis.range[0] > 1.0 > 0.5 > axis.range[1]
    assert axis.title.text == "factor β on the 3 most sensitive units of fc&lt;1&gt;"
    assert "control: drawn from all units" in suppression_curves(suppressed(disjoint=False)).layout.xaxis.title.text
    assert "sensitive unit of" in suppression_curves(suppressed(units=1)).layout.xaxis.title.text


def test_suppression_table():
    assert rows(suppression_curves(suppressed()))[4] == {
        "trace": "clean, control", "images": "clean", "damped": "control", "factor": "0.75", "accuracy": "0.875",
        "lowest draw": "0.75", "highest draw": "1.0",
    }  # fmt: skip


def test_spread_of_draws_leaves_missing_values_out():
    found = spread([[1, None, None], [3, 4, None]], 3)
    np.testing.assert_array_equal([found.mean, found.low, found.high], [[2, 4, np.nan], [1, 4, np.nan], [3, 4, np.nan]])
    assert found.draws == 2
    assert np.isnan(spread([], 2).mean).all()
    with pytest.raises(ValueError, match="Expected 2 values in each draw"):
        spread([[1, 2, 3]], 2)


def test_regions_stand_clean_above_attacked_each_in_its_colour(theme):
    clean, attacked = gray(2, 0.25), gray(2, 0.75)
    figure = region_grid(clean, attacked, np.stack([MASK, ~MASK]), np.stack([MASK, MASK]), theme)
    drawn = told(figure)
    assert list(drawn) == [
        f"{side} {place}{part}" for side in ("clean", "attacked") for place in (1, 2) for part in ("", ", region")
    ]
    assert (drawn["clean 1"].z == 0.25).all()
    assert (drawn["attacked 2"].z == 0.75).all()
    np.testing.assert_array_equal(drawn["clean 2, region"].z, ~MASK)
    np.testing.assert_array_equal(drawn["attacked 2, region"].z, MASK)
    outlines = [trace for trace in figure.data if trace.type == "scatter"]
    assert [line.line.color for line in outlines] == [COLORS[theme]["clean"]] * 2 + [COLORS[theme]["adversarial"]] * 2
    tops = [figure.layout[trace.yaxis.replace("y", "yaxis")].domain[1] for trace in outlines]
    assert tops[0] == tops[1] > tops[2] == tops[3]
    assert {axis.range for axis in figure.select_yaxes()} == {(1.5, -0.5)}


def test_only_what_is_outside_a_region_is_dimmed(theme):
    cover = told(region_grid(gray(1), gray(1), MASK[None], MASK[None], theme))["clean 1, region"]
    (outside, first), (inside, last) = cover.colorscale[0], cover.colorscale[-1]
    assert (outside, inside, cover.zmin, cover.zmax) == (0, 1, 0, 1)
    assert float(first.rstrip(")").split(",")[-1]) > 0.5
    assert float(last.rstrip(")").split(",")[-1]) == 0


def test_regions_of_colour_images_keep_their_pixels():
    colour = np.full((1, 3, 2, 3), 0.2, dtype=np.float32)
    drawn = told(region_grid(colour, colour, MASK[None], MASK[None]))
    assert drawn["clean 1"].type == "image"
    assert (np.asarray(drawn["clean 1"].z) == 51).all()


def test_no_images_have_no_regions(theme):
    nothing = np.zeros((0, 2, 3), dtype=bool)
    assert figure_table(region_grid(gray(0), gray(0), nothing, nothing, theme)) == "trace\n"


def test_regions_must_fit_their_images():
    with pytest.raises(ValueError, match=r"regions of shape \(S, H, W\), got .*\(1, 3, 2\)"):
        region_grid(gray(1), gray(1), MASK[None], MASK.T[None])


def segments(mask):
    x, y = (ends.reshape(-1, 3)[:, :2] for ends in outline(mask))
    return {frozenset(zip(xs, ys, strict=True)) for xs, ys in zip(x.tolist(), y.tolist(), strict=True)}


def test_the_outline_of_one_pixel_is_its_four_edges():
    corners = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]
    edges = {frozenset((corners[at], corners[at - 1])) for at in range(4)}
    assert segments(np.array([[True, False], [False, False]])) == edges
    assert not segments(np.zeros((2, 2), dtype=bool))


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=5))
def test_an_outline_lies_between_inside_and_outside_and_nowhere_else(region):
    mask = np.array(region)
    inside = {(x, y) for y, x in zip(*map(np.ndarray.tolist, np.nonzero(mask)), strict=True)}
    expected = set()
    for x, y in inside:
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            if (x + dx, y + dy) not in inside:
                middle = np.array([x + dx / 2, y + dy / 2])
                along = np.array([abs(dy), abs(dx)]) / 2
                expected.add(frozenset((tuple((middle - along).tolist()), tuple((middle + along).tolist()))))
    assert segments(mask) == expected


def test_heat_lies_over_its_image_on_the_common_scale(theme):
    heat = np.array([[0, 1, 2], [3, 4, np.nan]])
    image, over = heat_over(gray(1, 0.25)[0], heat, 8, theme).data
    assert (image.z == 0.25).all()
    np.testing.assert_array_equal(over.z, heat)
    assert (over.zmin, over.zmax, over.showscale) == (0, 8, False)
    opacities = [float(color.rstrip(")").split(",")[-1]) for _, color in over.colorscale]
    assert opacities[0] == 0
    assert opacities == sorted(opacities)
    assert heat_over(gray(1)[0], heat, 8, theme, has_bar=True).data[1].showscale is True


def test_no_heat_anywhere_leaves_the_image_as_it_is(theme):
    over = heat_over(gray(1)[0], np.zeros((2, 3)), 0, theme).data[1]
    assert (over.zmin, over.zmax) == (0, 1)


@pytest.mark.parametrize(
    ("heat", "message"), [(np.zeros((3, 2)), r"size \(2, 3\)"), (-np.ones((2, 3)), "0 or more, got -1")]
)
def test_other_heat_is_refused(heat, message):
    with pytest.raises(ValueError, match=message):
        heat_over(gray(1)[0], heat, 1)
