import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from dashboard.figures.theme import (
    COLORS,
    GRAPH_CONFIG,
    SEQUENCE,
    new_figure,
    sequence_style,
    template,
    translucent,
)

MEANINGS = ("clean", "adversarial", "shared", "reference")
# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB.
VISION = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear_rgb(color):
    channels = np.array([int(color[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    darker, lighter = sorted(linear_rgb(color) @ TO_XYZ[1] for color in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def lab(color, vision):
    xyz = TO_XYZ @ np.clip(np.array(VISION[vision]) @ linear_rgb(color), 0, 1) / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_contrast_formula():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)


@pytest.mark.parametrize("name", [*MEANINGS, "accent", "muted"])
def test_colors_contrast_with_their_background(theme, name):
    assert contrast(COLORS[theme][name], COLORS[theme]["paper"]) >= 3


@pytest.mark.parametrize("name", ["ink", "muted"])
def test_text_contrasts_with_its_background(theme, name):
    assert contrast(COLORS[theme][name], COLORS[theme]["paper"]) >= 4.5


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("pair", list(combinations(MEANINGS, 2)), ids="-".join)
def test_meanings_stay_distinct(theme, vision, pair):
    one, other = (lab(COLORS[theme][name], vision) for name in pair)
    assert np.linalg.norm(one - other) >= 20


def test_sequence_contrasts_with_its_background(theme):
    assert min(contrast(color, COLORS[theme]["paper"]) for color in SEQUENCE[theme]) >= 3


@pytest.mark.parametrize("vision", VISION)
def test_sequence_stays_distinct(theme, vision):
    labs = [lab(color, vision) for color in SEQUENCE[theme]]
    assert min(np.linalg.norm(one - other) for one, other in combinations(labs, 2)) >= 20


def test_sequence_has_none_of_the_meanings(theme):
    meanings = [lab(COLORS[theme][name], "usual") for name in MEANINGS]
    colors = [lab(color, "usual") for color in SEQUENCE[theme]]
    assert min(np.linalg.norm(one - other) for one in meanings for other in colors) >= 20


def test_sequence_styles_repeat_late(theme):
    assert len({sequence_style(place, theme) for place in range(24)}) == 24
    assert sequence_style(24, theme) == sequence_style(0, theme)


def test_themes_have_the_same_names():
    assert set(COLORS["light"]) == set(COLORS["dark"])


def test_figures_take_the_theme(theme):
    assert new_figure(theme).layout.template.layout.paper_bgcolor == COLORS[theme]["paper"]


def test_unknown_theme_is_refused():
    with pytest.raises(ValueError, match="light, dark, got 'sepia'"):
        template("sepia")


def test_config_sends_nothing_away():
    assert GRAPH_CONFIG["showSendToCloud"] is False
    assert GRAPH_CONFIG["plotlyServerURL"] == ""
    assert GRAPH_CONFIG["displaylogo"] is False


def test_translucent():
    assert translucent("#0A5BC4", 0.25) == "rgba(10,91,196,0.25)"


def test_text_has_the_colours_of_the_figures_unless_it_must_be_darker():
    css = (Path(__file__).parents[3] / "assets" / "detour" / "detour.css").read_text()
    for theme, block in (("light", ":root"), ("dark", '[data-bs-theme="dark"]')):
        rules = css.split(block + " {", 1)[1].split("}", 1)[0]
        text = {name: color.upper() for name, color in re.findall(r"--detour-(\w+): (#\w{6});", rules)}
        for name in ("clean", "adversarial", "reference"):
            assert contrast(text[name], COLORS[theme]["paper"]) >= 4.5
            enough = contrast(COLORS[theme][name], COLORS[theme]["paper"]) >= 4.5
            assert (text[name] == COLORS[theme][name]) == enough
