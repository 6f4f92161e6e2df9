"""Figures are drawn once for the same view, and never kept where they could be another's."""

import plotly.graph_objects as go
import pytest

from dashboard.components.figure_card import Nothing
from dashboard.services.cache import ResultCache
from dashboard.services.drawings import Drawings


class Pen:
    """Draws, and counts how often."""

    def __init__(self):
        self.drawn = 0

    def __call__(self, *values):
        self.drawn += 1
        if "nothing" in values:
            raise Nothing("There is nothing.")
        return go.Figure(go.Scatter(x=[1, 2], y=[3, self.drawn]))


@pytest.fixture
def pen():
    return Pen()


def drawings(identity=lambda search: "weights", limit=100_000):
    return Drawings(ResultCache(limit), identity)


def test_the_same_view_is_drawn_once(pen):
    kept = drawings()
    first = kept.get("card", ["?a=1", "light"], pen)
    assert kept.get("card", ["?a=1", "light"], pen) == first == Pen()("x").to_dict()
    assert pen.drawn == 1


@pytest.mark.parametrize("other", [("other", "?a=1", "light"), ("card", "?a=2", "light"), ("card", "?a=1", "dark")])
def test_another_card_query_or_theme_is_another_figure(pen, other):
    kept = drawings()
    kept.get("card", ["?a=1", "light"], pen)
    kept.get(other[0], list(other[1:]), pen)
    assert pen.drawn == 2


def test_other_weights_are_drawn_anew_and_what_cannot_be_shown_is_not_kept(pen):
    weights = iter(["old", "new", None, None])
    kept = drawings(lambda search: next(weights))
    for _ in range(4):
        kept.get("card", ["?a=1", "light"], pen)
    assert pen.drawn == 4


def test_a_reason_not_to_draw_is_given_each_time(pen):
    kept = drawings()
    for count in (1, 2):
        with pytest.raises(Nothing):
            kept.get("card", ["?a=1", "nothing"], pen)
        assert pen.drawn == count


def test_what_is_too_large_is_drawn_each_time(pen):
    kept = drawings(limit=10)
    for count in (1, 2):
        kept.get("card", ["?a=1", "light"], pen)
        assert pen.drawn == count
