"""Colours, templates and the graph configuration that every figure shares.

One colour has one meaning on every page: clean, adversarial, shared, reference. The four start from the Okabe-Ito
palette and were moved apart until they stay distinct (CIE76 distance of 20 or more) for protanopic, deuteranopic and
tritanopic readers and keep a contrast of 3:1 against their background.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal

import plotly.graph_objects as go

Theme = Literal["light", "dark"]

COLORS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "light": MappingProxyType(
            {
                "clean": "#0A5BC4",
                "adversarial": "#D14A05",
                "shared": "#00A070",
                "reference": "#852B7E",
                "accent": "#5B4FC7",
                "muted": "#6B7280",
                "ink": "#1F2933",
                "grid": "#E3E7EC",
                "paper": "#FFFFFF",
            }
        ),
        "dark": MappingProxyType(
            {
                "clean": "#3D97F5",
                "adversarial": "#F26B30",
                "shared": "#2BE096",
                "reference": "#EBB0D4",
                "accent": "#A79BFF",
                "muted": "#9AA4B0",
                "ink": "#E6EAEE",
                "grid": "#363D45",
                "paper": "#212529",
            }
        ),
    }
)

#: Second cue beside colour, for print and for readers who see few colours: (marker symbol, line dash, bar pattern).
CUES: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "clean": ("circle", "solid", ""),
        "adversarial": ("diamond", "dash", "/"),
        "shared": ("square", "dot", "."),
        "reference": ("triangle-up", "dashdot", "x"),
        "accent": ("circle", "solid", ""),
        "muted": ("circle", "dot", "."),
    }
)

#: Colours without a meaning, for attacks and methods side by side. As far from each other as the meanings are, for all
#: four kinds of sight, and in usual sight from the meanings too.
SEQUENCE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "light": ("#901344", "#9E6BF9", "#9A8C1A", "#235C8D", "#5D4000", "#C5708D", "#6023A8", "#789856"),
        "dark": ("#EEE560", "#CE3B8A", "#6D68DA", "#46FBE1", "#928C29", "#B0D794", "#6EB1DD", "#A26151"),
    }
)
_SYMBOLS: Final = ("circle", "diamond", "square", "triangle-up", "cross", "x", "triangle-down", "pentagon")
_DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")

#: The `config` of every `dcc.Graph`: nothing leaves the machine, no logo; the card's own menu does the exporting.
GRAPH_CONFIG: Final[dict[str, Any]] = {
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "displaylogo": False,
    "displayModeBar": False,
    "responsive": True,
}

FONT_FAMILY: Final = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif'
_MARGIN: Final = {"l": 8, "r": 12, "t": 12, "b": 8, "pad": 0}
_TOP_LEGEND: Final = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}


@lru_cache
def template(theme: Theme = "light") -> go.layout.Template:
    """The plotly template of a theme: fonts, axes, legend, hover labels and margins.

    Args:
        theme: `"light"` or `"dark"`.

    Raises:
        ValueError: for another theme.
    """
    colors = palette(theme)
    axis = {
        "gridcolor": colors["grid"],
        "linecolor": colors["grid"],
        "zerolinecolor": colors["grid"],
        "tickcolor": colors["grid"],
        "automargin": True,
        "ticklabelstandoff": 5,
        "title": {"font": {"size": 13, "color": colors["muted"]}, "standoff": 10},
    }
    series = [colors[name] for name in ("accent", "shared", "adversarial", "clean", "reference", "muted")]
    return go.layout.Template(
        layout={
            "font": {"family": FONT_FAMILY, "size": 13, "color": colors["ink"]},
            "paper_bgcolor": colors["paper"],
            "plot_bgcolor": colors["paper"],
            "colorway": series,
            "xaxis": axis,
            "yaxis": axis,
            "legend": _TOP_LEGEND,
            "hoverlabel": {
                "bgcolor": colors["paper"],
                "bordercolor": colors["muted"],
                "font": {"family": FONT_FAMILY, "color": colors["ink"]},
                "align": "left",
            },
            "margin": _MARGIN,
        }
    )


def palette(theme: Theme) -> Mapping[str, str]:
    """The colours of a theme, by meaning.

    Raises:
        ValueError: for a theme other than `"light"` and `"dark"`.
    """
    if theme not in COLORS:
        raise ValueError(f"Expected the theme to be one of {', '.join(COLORS)}, got {theme!r}.")
    return COLORS[theme]


def sequence_style(place: int, theme: Theme) -> tuple[str, str, str]:
    """Colour, marker symbol and line dash of the attack or method at a place; the three repeat together after 24."""
    colors = SEQUENCE[theme]
    return colors[place % len(colors)], _SYMBOLS[place % len(_SYMBOLS)], _DASHES[place % len(_DASHES)]


def bar_marker(meaning: str, theme: Theme) -> dict[str, Any]:
    """The `marker` of bars with a meaning (a key of `CUES`): its colour, and its pattern as the second cue."""
    colors = palette(theme)
    pattern = {
        "shape": CUES[meaning][2],
        "fillmode": "overlay",
        "fgcolor": colors["paper"],
        "fgopacity": 0.5,
        "size": 7,
    }
    return {"color": colors[meaning], "pattern": pattern | {"solidity": 0.25}}


def translucent(color: str, opacity: float) -> str:
    """A `#RRGGBB` colour as plotly's `rgba(...)` with an opacity in [0, 1]."""
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def new_figure(theme: Theme, **layout: Any) -> go.Figure:
    """An empty figure in the theme; `layout` is passed on to plotly."""
    return go.Figure(layout={"template": template(theme), **layout})
