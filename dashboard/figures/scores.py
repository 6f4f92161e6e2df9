"""Scores of a detector on normal and on attacked images, and the threshold between them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboard.figures.labels import shorten
from dashboard.figures.theme import Theme, bar_marker, new_figure, palette

_COLUMNS = ["score from", "score to", "share", "images"]
_FEWEST, _MOST = 10, 40  # bins
_HEADROOM = 1.18  # above the highest bar, for the threshold's label

Scores = Sequence[float | None] | npt.NDArray[np.floating]


def score_histogram(
    normal: Scores, attacked: Scores, threshold: float | None, theme: Theme = "light", attack: str = ""
) -> go.Figure:
    """Two histograms over each other in the same bins, each in shares of its own images, and a line at the threshold.

    Args:
        normal: scores of normal images; higher is more adversarial. None, NaN and infinity are left out.
        attacked: scores of attacked images.
        threshold: above it an image is flagged; None draws no line.
        theme: `"light"` or `"dark"`.
        attack: name of the attack, for the key.

    Returns:
        A figure whose only shape is the line at the threshold.
    """
    sides = {"clean": _finite(normal), "adversarial": _finite(attacked)}
    names = {"clean": "normal", "adversarial": shorten(attack, 28) if attack else "attacked"}
    line = threshold if threshold is not None and np.isfinite(threshold) else None
    everything = np.concatenate(list(sides.values()))
    bins = int(np.clip(np.ceil(np.sqrt(len(everything))), _FEWEST, _MOST))
    edges = np.histogram_bin_edges(everything, bins) if len(everything) else np.array([0.0, 1.0])
    figure = new_figure(theme, barmode="overlay", bargap=0, hovermode="x")
    tallest = 0.0
    for meaning, values in sides.items():
        if len(values):
            counts, _ = np.histogram(values, edges)
            tallest = max(tallest, float((counts / len(values)).max()))
            figure.add_trace(_bars(names[meaning], meaning, counts, edges, theme))
    reach = [float(edges[0]), float(edges[-1])]
    if line is not None:
        reach = [min(reach[0], line), max(reach[1], line)]
        _add_threshold(figure, line, (line - reach[0]) / max(reach[1] - reach[0], 1e-12) > 0.5, theme)
    pad = 0.02 * (reach[1] - reach[0])
    figure.update_xaxes(title_text="score (higher: more adversarial)", range=[reach[0] - pad, reach[1] + pad])
    figure.update_xaxes(showgrid=False, zeroline=False)
    figure.update_yaxes(title_text="share of images", tickformat="~%", range=[0, (tallest or 1) * _HEADROOM])
    return figure


def _finite(scores: Scores) -> npt.NDArray[np.float64]:
    values = np.array(scores, dtype=np.float64)  # None becomes NaN
    return values[np.isfinite(values)]


def _bars(
    name: str, meaning: str, counts: npt.NDArray[np.int64], edges: npt.NDArray[np.float64], theme: Theme
) -> go.Bar:
    total = int(counts.sum())
    shares = counts / total
    rows = [
        [float(edges[place]), float(edges[place + 1]), float(share), int(count)]
        for place, (share, count) in enumerate(zip(shares, counts, strict=True))
    ]
    return go.Bar(
        name=f"{name} ({total:,})",
        x=(edges[:-1] + edges[1:]) / 2,
        y=shares,
        width=np.diff(edges),
        marker=bar_marker(meaning, theme) | {"line": {"width": 0}},
        opacity=0.65,
        customdata=rows,
        meta={"columns": _COLUMNS},
        hovertemplate="%{y:.1%} (%{customdata[3]:,} images) from %{customdata[0]:.3g} to %{customdata[1]:.3g}"
        "<extra>%{fullData.name}</extra>",
    )


def _add_threshold(figure: go.Figure, threshold: float, is_right: bool, theme: Theme) -> None:
    colors = palette(theme)
    figure.add_shape(
        type="line",
        name="threshold",
        xref="x",
        yref="paper",
        x0=threshold,
        x1=threshold,
        y0=0,
        y1=1,
        line={"color": colors["ink"], "width": 2, "dash": "dash"},
    )
    # On the side with more room, so that no edge cuts it.
    figure.add_annotation(
        text=f"threshold {threshold:.3g}",
        x=threshold,
        y=1,
        yref="paper",
        xanchor="right" if is_right else "left",
        yanchor="top",
        xshift=-4 if is_right else 4,
        showarrow=False,
        bgcolor=colors["paper"],
        opacity=0.9,
        font={"size": 12, "color": colors["ink"]},
    )
