"""Where in an image something happens: the regions of interest of a unit, and a heat map over the image."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from dashboard.figures.images import image_figure
from dashboard.figures.theme import Theme, new_figure, palette, translucent

_SIDES: Final = (("clean", "clean"), ("adversarial", "attacked"))
_DIMMED: Final = 0.72
_GAP: Final = 0.02
#: Perceptually uniform; its opacity rises with the heat, so that the image shows where there is none.
HEAT_SCALE: Final = [
    [part, color.replace("rgb", "rgba").replace(")", f", {opacity})")]
    for part, opacity, color in zip(
        (0.0, 0.1, 0.25, 0.5, 0.75, 1.0),
        (0.0, 0.3, 0.5, 0.62, 0.7, 0.78),
        sample_colorscale("Plasma", [0.0, 0.1, 0.25, 0.5, 0.75, 1.0]),
        strict=True,
    )
]

Masks = npt.NDArray[np.bool_]


def region_grid(
    clean: npt.NDArray[np.floating],
    adversarial: npt.NDArray[np.floating],
    clean_regions: Masks,
    adversarial_regions: Masks,
    theme: Theme = "light",
) -> go.Figure:
    """The images that activate one unit most, above their attacked copies, all but the unit's region dimmed.

    Args:
        clean: (S, C, H, W) in [0, 1]; C is 1 or 3.
        adversarial: the same images attacked.
        clean_regions: (S, H, W) bool, true inside the unit's region of interest on the clean image.
        adversarial_regions: the same on the attacked image.
        theme: `"light"` or `"dark"`.

    Returns:
        A grid of S columns and 2 rows. The table holds the pixels and the region (1 inside, 0 outside) of each image.

    Raises:
        ValueError: when the shapes do not fit each other, or for pixels as in `image_figure`.
    """
    images, regions = (clean, adversarial), (clean_regions, adversarial_regions)
    expected = (len(clean), *np.shape(clean)[2:])
    if np.shape(clean) != np.shape(adversarial) or any(np.shape(region) != expected for region in regions):
        shapes = ", ".join(str(np.shape(array)) for array in (*images, *regions))
        raise ValueError(f"Expected images of one shape (S, C, H, W) and regions of shape (S, H, W), got {shapes}.")
    figure = new_figure(theme, margin={"l": 26, "r": 4, "t": 4, "b": 4}, showlegend=False)
    if not len(clean):
        return figure
    spacing = {"horizontal_spacing": _GAP / len(clean) * 2, "vertical_spacing": _GAP}
    figure.set_subplots(2, len(clean), **spacing)
    for row, (meaning, label) in enumerate(_SIDES):
        for column in range(len(clean)):
            name = f"{label} {column + 1}"
            traces = _cell(images[row][column], np.asarray(regions[row][column], dtype=bool), meaning, name, theme)
            figure.add_traces(traces, rows=row + 1, cols=column + 1)
        place = {"xref": "paper", "yref": "paper", "x": 0, "y": 0.75 - 0.5 * row, "xshift": -14, "yanchor": "middle"}
        font = {"color": palette(theme)[meaning], "size": 13}
        figure.add_annotation(text=label, textangle=-90, showarrow=False, font=font, **place)
    height, width = expected[1:]
    hidden = {"visible": False, "constrain": "domain"}
    figure.update_xaxes(range=[-0.5, width - 0.5], **hidden)
    for number, axis in enumerate(figure.select_yaxes(), start=1):
        anchor = "x" if number == 1 else f"x{number}"
        axis.update(range=[height - 0.5, -0.5], scaleanchor=anchor, scaleratio=1, **hidden)
    return figure


def heat_over(
    image: npt.NDArray[np.floating],
    heat: npt.NDArray[np.floating],
    scale: float,
    theme: Theme = "light",
    *,
    has_bar: bool = False,
) -> go.Figure:
    """An image under a translucent heat map, as that of Grad-CAM.

    Args:
        image: (C, H, W) in [0, 1]; C is 1 or 3.
        heat: (H, W), 0 or more; NaN leaves a pixel as it is.
        scale: the heat that is drawn strongest, common to the figures that are compared; 0 draws none.
        theme: `"light"` or `"dark"`.
        has_bar: whether the colours are explained beside the image.

    Raises:
        ValueError: when the heat has not the image's size, is negative, or for pixels as in `image_figure`.
    """
    values = np.asarray(heat, dtype=np.float32)
    if values.shape != np.shape(image)[1:]:
        raise ValueError(f"Expected a heat of the image's size {np.shape(image)[1:]}, got {values.shape}.")
    if np.nanmin(values, initial=0) < 0:
        raise ValueError(f"Expected a heat of 0 or more, got {np.nanmin(values)}.")
    figure = image_figure(image, theme)
    over = go.Heatmap(
        name="heat",
        z=values,
        zmin=0,
        zmax=scale if scale > 0 else 1,
        colorscale=HEAT_SCALE,
        zsmooth=False,
        showscale=has_bar,
        colorbar={"title": {"text": "heat", "font": {"size": 12}}, "thickness": 12, "outlinewidth": 0, "nticks": 5},
        hovertemplate="row %{y}, column %{x}: heat %{z:.4g}<extra></extra>",
    )
    figure.add_trace(over)
    return figure


def _cell(image: npt.NDArray[np.floating], region: Masks, meaning: str, name: str, theme: Theme) -> list[Any]:
    """An image's pixels, the paper over what is outside the region, and the region's outline."""
    colors = palette(theme)
    pixels = image_figure(image, theme).data[0].update(name=name)
    outside, inside = translucent(colors["paper"], _DIMMED), translucent(colors["paper"], 0)
    cover = go.Heatmap(
        name=f"{name}, region",
        z=region.astype(np.uint8),
        zmin=0,
        zmax=1,
        colorscale=[[0, outside], [0.5, outside], [0.5, inside], [1, inside]],
        showscale=False,
        zsmooth=False,
        hovertemplate=f"{name}<br>row %{{y}}, column %{{x}}<br>region: %{{z}} (1 inside, 0 outside)<extra></extra>",
    )
    x, y = outline(region)
    line = {"color": colors[meaning], "width": 2}
    return [pixels, cover, go.Scatter(name=name, x=x, y=y, mode="lines", line=line, cliponaxis=False, hoverinfo="skip")]


def outline(region: Masks) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The edges between the pixels inside a region and those outside, also at the image's border, as line segments.

    Args:
        region: (H, W) bool.

    Returns:
        x (columns) and y (rows) of the segments' ends, each segment followed by NaN; pixels' centres are whole numbers.
    """
    padded = np.pad(np.asarray(region, dtype=bool), 1)
    y, x = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])  # above pixel (y, x)
    row, column = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])  # left of pixel (row, column)
    gap = np.full(len(x) + len(row), np.nan)
    starts = np.concatenate([x, column]) - 0.5, np.concatenate([y, row]) - 0.5
    ends = np.concatenate([x + 0.5, column - 0.5]), np.concatenate([y - 0.5, row + 0.5])
    across, down = (np.column_stack([start, end, gap]).ravel() for start, end in zip(starts, ends, strict=True))
    return across, down
