"""Images as the browser shows and saves them."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image


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


def picture_url(pixels: npt.NDArray[np.floating]) -> str:
    """A (C, H, W) image as a data URL for an ``img`` element."""
    return "data:image/png;base64," + base64.b64encode(png_bytes(pixels)).decode()
