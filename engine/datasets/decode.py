"""Turning the bytes of an image file into what a model takes. The only place where foreign image data is decoded.

PNG, JPEG and WebP only; other decoders are never tried, whatever the file is called. Conversions, each on purpose:

- of an animation the first frame is taken;
- 16 bits a channel become 8 by keeping the high byte;
- palettes become colours; CMYK becomes RGB by R = 255 - min(255, C + K) and so on, without a colour profile;
- transparent pixels are laid on white;
- the EXIF orientation is applied; one that cannot be read counts as none;
- grey images stay grey (mode L), all others become RGB.
"""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from engine.errors import InvalidInputError

MAX_BYTES = 20 * 2**20
MAX_PIXELS = 25_000_000
FORMATS = ("PNG", "JPEG", "WEBP")
ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")
SIGNATURES = (
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "an EPS file"),
    (b"%PDF", "a PDF file"),
    (b"PK\x03\x04", "a zip archive"),
)


def open_image(data: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Reads an image's header only: size and mode are known, no pixel is decoded.

    Raises:
        InvalidInputError: for data that is empty, too long, of another format, or an image of too many pixels.
    """
    if not data:
        raise InvalidInputError("expected a PNG, JPEG or WebP image; the file is empty.")
    if len(data) > max_bytes:
        raise InvalidInputError(
            f"expected an image file of at most {max_bytes / 2**20:.0f} MB; got {len(data) / 2**20:.1f} MB. "
            "Make it smaller."
        )
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InvalidInputError(_too_many_pixels("far more", max_pixels)) from None
    except Exception as error:  # decoders raise many kinds for damaged headers
        raise InvalidInputError(
            f"expected a PNG, JPEG or WebP image; got {_describe(data)}. Convert it and try again."
        ) from error
    if image.width * image.height > max_pixels:
        raise InvalidInputError(_too_many_pixels(f"{image.width:,} × {image.height:,}", max_pixels))
    return image


def decode_image(data: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decodes a PNG, JPEG or WebP file to an upright image of mode L or RGB, converted as this module's text says.

    Args:
        data: the whole file.
        max_bytes: longest file accepted.
        max_pixels: largest width × height accepted, judged from the header before anything is decoded.

    Raises:
        InvalidInputError: for data that is empty, too long, of another format, too large, truncated or damaged.
    """
    image = open_image(data, max_bytes=max_bytes, max_pixels=max_pixels)
    try:
        image.load()
        return _upright(_opaque(image), _orientation(image))
    except Exception as error:  # as above: any failure means that the file is damaged
        raise InvalidInputError(
            f"the {image.format} image is truncated or damaged ({str(error)[:120]}); save or send it again."
        ) from error


def prepare_pixels(image: Image.Image, image_shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """What a model sees of an image, as (C, H, W) uint8.

    The largest centred part with the model's aspect ratio (a square for nearly all) is cut out and resized bilinearly
    with antialiasing. Colour becomes grey by ITU-R 601 luma, grey becomes colour by repetition. An image of the
    model's own size and channels passes through unchanged.

    Raises:
        InvalidInputError: if the model has neither one nor three channels.
    """
    channels, height, width = image_shape
    if channels not in (1, 3):
        raise InvalidInputError(f"images have 1 or 3 channels; the model expects {channels}.")
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        image = _centre(image, width / height).resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.array(image, dtype=np.uint8)
    return pixels[np.newaxis] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def prepare_image(image: Image.Image, image_shape: tuple[int, int, int]) -> torch.Tensor:
    """:func:`prepare_pixels` as (C, H, W) float32 in [0, 1]."""
    return torch.from_numpy(prepare_pixels(image, image_shape)).to(torch.float32).div_(255.0)


def is_grey(image: Image.Image) -> bool:
    """Whether :func:`decode_image` would give this (opened) image as mode L."""
    return image.mode in GREY_MODES


def _too_many_pixels(size: str, max_pixels: int) -> str:
    return f"expected an image of at most {max_pixels / 1e6:g} megapixels; got {size}. Scale it down."


def _describe(data: bytes) -> str:
    for signature, kind in SIGNATURES:
        if data.startswith(signature):
            return kind
    start = data[:1024].lstrip().lower()
    if b"<svg" in start or start.startswith(b"<?xml"):
        return "an SVG or XML file"
    if data.startswith((b"\x89PNG", b"\xff\xd8", b"RIFF")):
        return "one with a damaged header"
    return "something else"


def _opaque(image: Image.Image) -> Image.Image:
    grey = is_grey(image)
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if grey else "RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    deep = np.asarray(image).astype(np.int64)
    pixels = np.clip(deep >> 8, 0, 255).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        pixels[deep == transparent] = 255
    return Image.fromarray(pixels)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION_TAG, 1))
    except Exception:  # damaged EXIF does not make the pixels unusable
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


def _centre(image: Image.Image, aspect: float) -> Image.Image:
    width = max(1, min(image.width, round(image.height * aspect)))
    height = max(1, min(image.height, round(image.width / aspect)))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
