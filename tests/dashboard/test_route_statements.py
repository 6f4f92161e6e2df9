"""What the Route page states of a study's numbers."""

from dashboard.pages.route.statements import BY_CHANCE, HOLDS, IN_PART, NOT, UNTOLD, statements, summary
from dashboard.pages.route.telling import connection_options
from dashboard.pages.route.view import WHOLE, connection_of
from tests.dashboard.answers import json_of, text_of

REPORT = {
    "attack": "fgsm", "attack_settings": {"epsilon": 0.1}, "settings": {"share": 0.2}, "route_images": 10, "pairs": 500,
    "misled": 0.4,
    "layers": [{"name": "a", "mean_occurrence": 0.5}, {"name": "b", "mean_occurrence": 0.4}],
    "contrast": [
        {"layer": "a", "sensitivity": {"ratio": 2.0, "p": 0.01}, "gradient": {"ratio": 2.0, "p": 0.2}},
        {"layer": "b", "sensitivity": {"ratio": 3.0, "p": 0.0001}, "gradient": {"ratio": 1.5, "p": None}},
    ],
    "transplant": {
        "misled": 2, "cumulative": [{"route": 0.5, "control": [0.6, 0.7], "units": 4, "control_units": 3}],
    },
    "deactivation": [
        {"layer": "a", "clean": {"route": 0.5, "control": [0.9, 0.7]}},
        {"layer": "b", "clean": {"route": 1.0, "control": [1.0, 0.9]}},
    ],
    "weakening": [
        {"layers": ["a", "b"], "betas": [1.0, 0.0], "clean": {"route": [1.0, 0.8], "control": [[1.0, 1.0]]},
         "adversarial": {"route": [0.2, 0.6], "control": [[0.2, 0.3], [0.2, 0.5]]}},
    ],
    "hardness": {"fgsm": {"groups": [0.9, 0.5, 0.1], "counts": [20, 20, 20], "epsilon": 0.1}},
}  # fmt: skip


def verdicts(report):
    return [item.children[0].children for item in statements(report)[1].children]


def test_each_statement_is_judged_by_its_numbers():
    assert verdicts(REPORT) == [HOLDS, HOLDS, BY_CHANCE, NOT, IN_PART, HOLDS, NOT]
    words = json_of(statements(REPORT))
    assert "2 times as much in a (p = 0.01) and 3 times as much in b (p < 0.001)" in words
    assert "at as many others (only 3 are left) 65%" in words
    assert "in a, 50% of the clean images stay right (others: 80%)" in words
    assert "at factor 0, 60% of the attacked images are right (untouched 20%, others weakened 40%) and 80%" in words
    assert "on 10% of the hardest third of the images, on 90% of the easiest" in words
    assert "Of 7 statements about such routes 3 hold" in text_of(summary(REPORT))


def test_what_few_images_tell_may_be_chance():
    few = {**REPORT, "pairs": 5, "hardness": {"fgsm": {"groups": [0.5, 1.0], "counts": [2, 2], "epsilon": 0.1}}}
    assert verdicts(few)[-3:] == [NOT, BY_CHANCE, BY_CHANCE]  # in one of its two layers the opposite was seen
    few["deactivation"] = REPORT["deactivation"][:1]
    assert verdicts(few)[-3:] == [BY_CHANCE, BY_CHANCE, BY_CHANCE]


def test_statements_that_cannot_be_told_are_not_counted():
    none = {**REPORT, "transplant": {**REPORT["transplant"], "misled": 0}, "weakening": []}
    none["hardness"] = {"fgsm": {"groups": [0.5, None], "counts": [20, 0], "epsilon": 0.1}}
    none["contrast"] = [
        {"layer": "a", "sensitivity": {"ratio": None, "p": None}, "gradient": {"ratio": 0.5, "p": 0.01}}
    ]
    assert verdicts(none) == [HOLDS, NOT, UNTOLD, IN_PART]
    assert "Of 3 statements" in text_of(summary(none))


def test_many_layers_are_told_by_their_extremes():
    layers = [{"name": f"l{n}", "mean_occurrence": 0.5} for n in range(6)]
    contrast = [
        {"layer": f"l{n}", "sensitivity": {"ratio": 0.8 + 0.2 * n, "p": 0.01}, "gradient": {"ratio": 2.0, "p": 0.01}}
        for n in range(6)
    ]
    words = json_of(statements({**REPORT, "layers": layers, "contrast": contrast}))
    assert "in 4 of 6 layers, in 4 beyond chance (p < 0.05); most in l5 (1.8 times), least in l0 (0.8 times)" in words


def test_connections_are_chosen_by_the_layer_that_reads():
    entries = [{"layers": ["a", "b"]}, {"layers": ["a", "b", "c"]}, {"layers": ["a", "b", "c"]}]
    report = {"weakening": entries}
    assert connection_of(report, None) is entries[-1]
    assert connection_of(report, "b") is entries[0]
    assert connection_of(report, "c") is entries[1]
    assert connection_of(report, "z") is entries[-1]
    options = connection_options(report, "z")
    assert [one["value"] for one in options] == [WHOLE, "b", "c", "z"]
    assert connection_options({"weakening": entries[:1]}, None) == [{"value": WHOLE, "label": "a and b"}]
