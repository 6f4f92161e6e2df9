"""Images and perturbations as pixelated figures whose hover tells the pixel's values."""

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboard.figures.theme import Theme, new_figure

# Two arms from the mid gray that also stands for "unchanged" in a perturbation of three channels. Dark navy and yellow
# stay apart for every kind of colour vision, and neither has a meaning elsewhere (theme.py).
DARKER = "#00224E"
BRIGHTER = "#FEE838"
_DIVERGING = [[0.0, DARKER], [0.5, "#808080"], [1.0, BRIGHTER]]
_GRAY = [[0.0, "#000000"], [1.0, "#FFFFFF"]]


def image_figure(image: npt.NDArray[np.floating], theme: Theme = "light") -> go.Figure:
    """An image as it is, one square cell a pixel, without axes.

    Args:
        image: (C, H, W) in [0, 1]; C is 1 (gray) or 3 (RGB). Gray keeps its exact values, RGB is rounded to 8 bits.
        theme: `"light"` or `"dark"`.

    Raises:
        ValueError: when the shape is not (1, H, W) or (3, H, W), or a value is not finite.
    """
    pixels = _checked(image)
    figure = _frame(theme)
    if len(pixels) == 1:
        figure.add_trace(_cells(pixels[0], 0.0, 1.0, _GRAY, "gray"))
    else:
        bytes_ = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
        hover = "row %{y}, column %{x}<br>red %{z[0]}, green %{z[1]}, blue %{z[2]} of 255<extra></extra>"
        figure.add_trace(go.Image(z=_last(bytes_), name="RGB", hovertemplate=hover))
    return figure


def perturbation_figure(delta: npt.NDArray[np.floating], theme: Theme = "light") -> tuple[go.Figure, float]:
    """A perturbation, magnified until its largest change is full scale; mid gray is no change.

    Args:
        delta: (C, H, W), adversarial minus original, in [-1, 1]; C is 1 or 3.
        theme: `"light"` or `"dark"`.

    Returns:
        The figure, and the factor of the magnification: 1 / max|delta| (1 where nothing changed). Hover and CSV give
        the values as they are, not magnified.

    Raises:
        ValueError: when the shape is not (1, H, W) or (3, H, W), or a value is not finite.
    """
    pixels = _checked(delta)
    largest = float(np.abs(pixels).max(initial=0.0))
    scale = largest if largest > 0 else 1.0
    figure = _frame(theme)
    if len(pixels) == 1:
        figure.add_trace(_cells(pixels[0], -scale, scale, _DIVERGING, "change"))
    else:
        hover = "row %{y}, column %{x}<br>red %{z[0]:+.4f}, green %{z[1]:+.4f}, blue %{z[2]:+.4f}<extra></extra>"
        limits = {"zmin": [-scale] * 4, "zmax": [scale] * 4}
        figure.add_trace(go.Image(z=_last(pixels), colormodel="rgb", name="change", hovertemplate=hover, **limits))
    return figure, 1.0 / scale


def _checked(image: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    pixels = np.asarray(image, dtype=np.float32)
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3):
        raise ValueError(f"Expected an image of shape (1, H, W) or (3, H, W), got {pixels.shape}.")
    if not np.isfinite(pixels).all():
        raise ValueError("Expected finite pixel values, got NaN or infinity.")
    return pixels


def _last(pixels: np.ndarray) -> np.ndarray:
    """(C, H, W) as (H, W, C), in the contiguous layout that plotly encodes without a copy per cell."""
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))


def _cells(values: npt.NDArray[np.float32], low: float, high: float, scale: list, name: str) -> go.Heatmap:
    number = "%{z:.3f}" if low == 0 else "%{z:+.4f}"
    return go.Heatmap(
        z=values,
        zmin=low,
        zmax=high,
        colorscale=scale,
        showscale=False,
        zsmooth=False,
        name=name,
        hovertemplate=f"row %{{y}}, column %{{x}}: {number}<extra></extra>",
    )


def _frame(theme: Theme) -> go.Figure:
    figure = new_figure(theme, margin={"l": 4, "r": 4, "t": 4, "b": 4})
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, constrain="domain", autorange="reversed", scaleanchor="x", scaleratio=1)
    return figure
