"""Images as the browser shows and saves them."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image
from plotly.colors import sample_colorscale

# Perceptually uniform and the same for every kind of colour vision.
_COLORS = sample_colorscale("Cividis", np.arange(256) / 255)
_HEAT = np.array([[int(part) / 255 for part in color[4:-1].split(",")] for color in _COLORS])
OUTLINED_SIDE = 112


def png_bytes(pixels: npt.NDArray[np.floating]) -> bytes:
    """A (C, H, W) image in [0, 1] as a lossless PNG of 8 bits: mode L for one channel, RGB for three."""
    rounded = np.clip(np.rint(np.asarray(pixels) * 255), 0, 255).astype(np.uint8)
    image = Image.fromarray(rounded[0] if len(rounded) == 1 else np.ascontiguousarray(rounded.transpose(1, 2, 0)))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def npy_bytes(pixels: npt.NDArray[np.floating]) -> bytes:
    """A (C, H, W) image as a NumPy file of float32, exactly as it is."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(pixels, dtype=np.float32), allow_pickle=False)
    return buffer.getvalue()


def heat_pixels(values: npt.NDArray[np.floating], largest: float) -> npt.NDArray[np.float64]:
    """A map (H, W) as an image (3, H, W) in [0, 1]: dark blue at 0 and below, yellow at ``largest``."""
    shares = np.clip(values / largest, 0, 1) if largest > 0 else np.zeros(values.shape)
    return _HEAT[np.rint(shares * (len(_HEAT) - 1)).astype(int)].transpose(2, 0, 1)


def outlined(pixels: npt.NDArray[np.floating], region: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """A (C, H, W) image in [0, 1] with the outline of a region (H, W) in yellow; enlarged, so that the line is thin."""
    factor = max(1, -(-OUTLINED_SIDE // max(region.shape)))
    large = np.repeat(np.repeat(np.broadcast_to(pixels, (3, *region.shape)), factor, axis=1), factor, axis=2)
    inside = np.pad(np.repeat(np.repeat(region, factor, axis=0), factor, axis=1), 1)
    whole = inside[1:-1, 1:-1]
    inner = whole & inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    return np.where(whole & ~inner, _HEAT[-1][:, None, None], large)


def picture_url(pixels: npt.NDArray[np.floating]) -> str:
    """A (C, H, W) image as a data URL for an ``img`` element."""
    return "data:image/png;base64," + base64.b64encode(png_bytes(pixels)).decode()
