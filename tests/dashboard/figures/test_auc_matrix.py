import csv
import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest
from plotly.colors import sample_colorscale, unlabel_rgb

from dashboard.figures.auc_matrix import SCALE, auc_matrix
from dashboard.figures.table import figure_table
from dashboard.figures.theme import COLORS
from tests.dashboard.figures.test_theme import contrast

LABELS = {"joint_similarity": "Joint similarity"}


def row(method, attack, auc, **others):
    return {"method": method, "attack": attack, "auc": auc, "low": 0.9, "high": 0.97} | others


TABLE = [
    row("joint_similarity", "FGSM", 0.9581, **{"tpr at 5 % fpr": 0.75, "normal": 900, "attacked": 1200}),
    row("joint_similarity", "C&W", None),
    row("<other>", "FGSM", 0.4),
]


def cells(figure):
    return figure.data[0]


def test_cells(theme):
    heat = cells(auc_matrix(TABLE, LABELS, theme))
    assert list(heat.y) == ["Joint similarity", "&lt;other&gt;"]
    assert list(heat.x) == ["FGSM", "C&amp;W"]
    np.testing.assert_array_equal(np.array(heat.z, float), [[0.9581, np.nan], [0.4, np.nan]])
    assert [list(texts) for texts in heat.text] == [["0.958", ""], ["0.400", ""]]
    assert (heat.zmin, heat.zmax) == (0.5, 1)
    assert heat.hoverongaps is False
    assert heat.textfont.color == COLORS[theme]["ink"]


def test_a_click_tells_method_and_attack():
    heat = cells(auc_matrix(TABLE, LABELS))
    assert [list(cell)[:2] for line in heat.customdata for cell in line] == [
        ["joint_similarity", "FGSM"],
        ["joint_similarity", "C&W"],
        ["<other>", "FGSM"],
        ["<other>", "C&W"],
    ]


def test_hover_has_what_is_known():
    heat = cells(auc_matrix(TABLE, LABELS))
    assert heat.hovertext[0][0].split("<br>") == [
        "AUC 0.958",
        "95% interval 0.900 to 0.970",
        "75.0% found where 5% of normal images are flagged",
        "900 normal images, 1,200 attacked",
    ]
    assert heat.hovertext[1][0].split("<br>") == ["AUC 0.400", "95% interval 0.900 to 0.970"]


def test_ink_is_readable_on_every_colour(theme):
    ink = COLORS[theme]["ink"]
    for color in sample_colorscale(list(SCALE[theme]), np.linspace(0, 1, 21)):
        shade = "#" + "".join(f"{round(channel):02X}" for channel in unlabel_rgb(color))
        assert contrast(ink, shade) >= 4.5


def test_long_labels_are_wrapped_and_escaped():
    figure = auc_matrix([row("m", "JSMA, single pixels <i>", 0.9)], {"m": "An unrecognisablynamed & method"})
    assert figure.layout.xaxis.ticktext == ("JSMA,<br>single<br>pixels &lt;i&gt;",)
    assert figure.layout.yaxis.ticktext == ("An<br>unrecognisablyn…<br>&amp; method",)


def test_methods_with_the_same_label_keep_their_rows():
    assert list(cells(auc_matrix([row("a", "x", 1), row("b", "x", 1)], {"a": "m", "b": "m"})).y) == ["m (0)", "m (1)"]


def test_height_grows_with_the_rows():
    many = [row(str(number), "x", 0.9) for number in range(9)]
    assert auc_matrix(many, {}).layout.height > auc_matrix(many[:2], {}).layout.height


@pytest.mark.parametrize("came_back", [False, True])
def test_table(came_back):
    figure = auc_matrix(TABLE, LABELS)
    figure = go.Figure(json.loads(figure.to_json())) if came_back else figure
    rows = list(csv.DictReader(io.StringIO(figure_table(figure))))
    assert len(rows) == 4
    assert rows[0] == {
        "trace": "AUC", "method": "joint_similarity", "attack": "FGSM", "auc": "0.9581", "low": "0.9", "high": "0.97",
        "tpr at 5 % fpr": "0.75", "normal": "900", "attacked": "1200",
    }  # fmt: skip
    assert (rows[3]["method"], rows[3]["attack"], rows[3]["auc"], rows[3]["low"]) == ("<other>", "C&W", "", "")


def test_nothing():
    assert figure_table(auc_matrix([], {})) == "trace\n"
