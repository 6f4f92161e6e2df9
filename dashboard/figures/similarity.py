"""Image-class similarity of an image, layer by layer, over the band of normal test images."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboard.figures.labels import Series, layer_ticks, plain, series, shorten, unique_labels
from dashboard.figures.theme import CUES, Theme, new_figure, palette, translucent

_HOVER = "%{x}: %{y:.3f}<extra>%{fullData.name}</extra>"


def layer_similarity(
    layers: Sequence[str],
    clean: Series | None,
    adversarial: Series | None = None,
    band: tuple[Series, Series] | None = None,
    reference: Series | None = None,
    theme: Theme = "light",
    band_images: int | None = None,
    notes: Sequence[str] = (),
) -> go.Figure:
    """Similarity in [0, 1] per layer: the image, its adversarial copy, the pinned reference, and the usual range.

    Args:
        layers: L layer names in execution order.
        clean: per layer, as a mapping by layer name or as L values; None leaves the line out, as below.
        adversarial: the same for the adversarial image.
        band: lower and upper edge of normal test images, per layer.
        reference: the same for the pinned image.
        theme: `"light"` or `"dark"`.
        band_images: how many images the band comes from, for the key.
        notes: what is left out and why, a line each, written into the figure.

    Raises:
        ValueError: when a sequence has another length than `layers`.
    """
    colors = palette(theme)
    names = unique_labels(layers)
    figure = new_figure(theme, hovermode="x unified")
    seen: list[npt.NDArray[np.float64]] = []
    if band is not None:
        low, high = series(layers, band[0]), series(layers, band[1])
        seen += [low, high]
        _add_band(figure, names, low, high, colors["muted"], band_images)
    lines = (
        ("reference", "reference", reference),
        ("clean", "clean", clean),
        ("adversarial", "adversarial", adversarial),
    )
    for label, meaning, values in lines:
        if values is None:
            continue
        heights = series(layers, values)
        seen.append(heights)
        figure.add_trace(_line(label, meaning, names, heights, theme))
    figure.update_xaxes(showgrid=False, title_text="layer", range=[-0.4, len(names) - 0.6], **layer_ticks(layers))
    figure.update_yaxes(title_text="similarity", range=_zoom(seen))
    if notes:
        font = {"size": 12, "color": colors["muted"]}
        place = {"xref": "paper", "yref": "paper", "x": 0.02, "y": 0.03, "xanchor": "left", "yanchor": "bottom"}
        figure.add_annotation(text="<br>".join(map(plain, notes)), showarrow=False, align="left", font=font, **place)
    return figure


def pair_similarity(
    layers: Sequence[str], values: Series, theme: Theme = "light", classes: tuple[str, str] | None = None
) -> go.Figure:
    """Jaccard similarity in [0, 1] of two class paths, one bar a layer.

    Args:
        layers: L layer names in execution order.
        values: per layer, as a mapping by layer name or as L values.
        theme: `"light"` or `"dark"`.
        classes: names of the two classes, for the key.

    Raises:
        ValueError: when a sequence has another length than `layers`.
    """
    colors = palette(theme)
    bars = go.Bar(
        name="the two classes" if classes is None else " and ".join(shorten(name, 24) for name in classes),
        x=unique_labels(layers),
        y=series(layers, values),
        marker={"color": colors["shared"]},
        texttemplate="%{y:.2f}" if len(layers) <= 12 else None,
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{x}: %{y:.3f}<extra></extra>",
    )
    figure = new_figure(theme, bargap=0.35, showlegend=classes is not None)
    figure.add_trace(bars)
    figure.update_xaxes(showgrid=False, title_text="layer", **layer_ticks(layers))
    figure.update_yaxes(title_text="Jaccard similarity", range=[0, 1.15], tickvals=[0, 0.25, 0.5, 0.75, 1])
    return figure


def _add_band(
    figure: go.Figure, names: list[str], low: np.ndarray, high: np.ndarray, color: str, images: int | None
) -> None:
    edge = {"mode": "lines", "line": {"width": 0}, "legendgroup": "band", "hovertemplate": _HOVER}
    figure.add_trace(go.Scatter(name="normal, lower", x=names, y=low, showlegend=False, **edge))
    fill = {"fill": "tonexty", "fillcolor": translucent(color, 0.25)}
    figure.add_trace(go.Scatter(name="normal, upper", x=names, y=high, showlegend=False, **fill, **edge))
    swatch = {"symbol": "square", "size": 12, "color": translucent(color, 0.4)}
    key = {"mode": "markers", "marker": swatch, "legendgroup": "band", "hoverinfo": "skip"}
    figure.add_trace(go.Scatter(name=f"{images or ''} normal test images".strip(), x=[None], y=[None], **key))


def _line(label: str, meaning: str, names: list[str], heights: np.ndarray, theme: Theme) -> go.Scatter:
    color = palette(theme)[meaning]
    symbol, dash, _ = CUES[meaning]
    return go.Scatter(
        name=label,
        x=names,
        y=heights,
        mode="lines+markers",
        line={"color": color, "width": 2.5, "dash": dash},
        marker={"color": color, "size": 9, "symbol": symbol, "line": {"color": palette(theme)["paper"], "width": 1}},
        hovertemplate=_HOVER,
    )


def _zoom(seen: list[npt.NDArray[np.float64]]) -> list[float]:
    """The y range: up to 1, and down to a round tenth below the lowest value (0 where that is in the lower half)."""
    values = np.concatenate(seen) if seen else np.empty(0)
    values = values[np.isfinite(values)]
    lowest = float(values.min()) if len(values) else 0.0
    floor = 0.0 if lowest < 0.5 else min(0.9, np.floor((lowest - 0.02) * 10) / 10)
    return [float(floor), 1.0 + 0.03 * (1.0 - floor)]
