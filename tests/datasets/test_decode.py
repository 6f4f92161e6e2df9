"""Decoding foreign image bytes: what is refused, and golden pixels for what is converted."""

import io
import resource
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from engine.datasets.decode import decode_image, prepare_image
from engine.errors import InvalidInputError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (size[1], size[0]) if channels == 1 else (size[1], size[0], channels)
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8), mode=None)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def test_empty_file():
    with pytest.raises(InvalidInputError, match="empty"):
        decode_image(b"")


def test_file_too_long():
    with pytest.raises(InvalidInputError, match="at most 1 MB"):
        decode_image(b"\0" * (2**20 + 1), max_bytes=2**20)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_truncated(kind, share):
    data = encode(noise(size=(200, 200)), kind)
    with pytest.raises(InvalidInputError, match=r"truncated or damaged|damaged header"):
        decode_image(data[: int(len(data) * share)])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes(data):
    with pytest.raises(InvalidInputError):
        decode_image(data)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "WEBP"]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=20),
)
def test_damaged_bytes_decode_or_are_refused(kind, damage):
    data = bytearray(encode(noise(size=(16, 16)), kind))
    for where, value in damage:
        data[int(where * len(data))] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = decode_image(bytes(data))
        except InvalidInputError:
            return
    assert image.mode in ("L", "RGB")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encode(noise(), "TIFF"), "TIFF"),
        (encode(noise(), "EPS"), "PostScript|EPS"),
        (encode(noise(), "GIF"), "GIF"),
        (encode(noise(), "BMP"), "BMP"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"<svg onload='alert(1)'/>", "SVG"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_other_formats_are_named(data, reason):
    with pytest.raises(InvalidInputError, match=reason):
        decode_image(data)


@pytest.mark.parametrize(("width", "height"), [(14_000, 14_000), (5_001, 5_000), (10_000, 10_000)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_too_many_pixels_are_refused_from_the_header(width, height, monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("pixels were decoded"))
    data = png_header(width, height) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidInputError, match="25 megapixels"):
        decode_image(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024  # KiB


def test_exactly_the_limit_is_accepted():
    assert decode_image(encode(Image.new("L", (100, 50))), max_pixels=5000).size == (100, 50)


def test_compressed_text_bomb():
    text = b"Comment\0\0" + zlib.compress(bytes(100_000_000))
    data = png_header(1, 1) + chunk(b"zTXt", text) + chunk(b"IDAT", zlib.compress(bytes(4))) + chunk(b"IEND", b"")
    with pytest.raises(InvalidInputError):
        decode_image(data)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animation_gives_its_first_frame(kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN, BLUE)]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    assert decode_image(data).getpixel((1, 2)) == RED


def test_sixteen_bit_grey_keeps_the_high_byte():
    deep = np.array([[0, 255, 256], [0x1234, 0xFF00, 0xFFFF]], dtype=np.uint16)
    image = decode_image(encode(Image.fromarray(deep)))
    assert image.mode == "L"
    assert np.asarray(image).tolist() == [[0, 0, 1], [0x12, 255, 255]]


def test_sixteen_bit_colour_keeps_the_high_byte():
    row = b"\0" + struct.pack(">6H", 0x1234, 0x00FF, 0xFFFF, 0x8000, 0x0100, 0)
    header = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    image = decode_image(header + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b""))
    assert np.asarray(image).tolist() == [[[0x12, 0, 255], [0x80, 1, 0]]]


@pytest.mark.parametrize(
    ("ink", "colour"), [((0, 0, 0, 0), WHITE), ((255, 0, 0, 0), (0, 255, 255)), ((0, 0, 0, 255), (0, 0, 0))]
)
def test_cmyk(ink, colour):
    image = decode_image(encode(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100))
    assert image.mode == "RGB"
    assert np.abs(np.subtract(image.getpixel((8, 8)), colour)).max() <= 2


def test_palette():
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putdata([1, 0])
    assert list(np.asarray(decode_image(encode(image)))[0].tolist()) == [list(BLUE), list(RED)]


def test_palette_with_transparency_is_laid_on_white():
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putdata([1, 0])
    decoded = decode_image(encode(image, transparency=0))
    assert np.asarray(decoded)[0].tolist() == [list(BLUE), list(WHITE)]


def test_alpha_is_laid_on_white():
    image = Image.new("RGBA", (3, 1))
    image.putdata([(255, 0, 0, 255), (255, 0, 0, 128), (255, 0, 0, 0)])
    assert np.asarray(decode_image(encode(image)))[0].tolist() == [[255, 0, 0], [255, 127, 127], [255, 255, 255]]


def test_grey_alpha_stays_grey():
    image = Image.new("LA", (2, 1))
    image.putdata([(10, 255), (10, 0)])
    decoded = decode_image(encode(image))
    assert decoded.mode == "L"
    assert np.asarray(decoded)[0].tolist() == [10, 255]


def test_one_bit():
    decoded = decode_image(encode(Image.fromarray(np.array([[True, False]]))))
    assert decoded.mode == "L"
    assert np.asarray(decoded)[0].tolist() == [255, 0]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (3, (1, 1)), (6, (1, 0)), (8, (0, 1)), (2, (1, 0))])
def test_exif_orientation(kind, orientation, corner):
    image = Image.new("RGB", (32, 16), "white")
    image.paste("black", (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode_image(encode(image, kind, exif=exif.tobytes()))
    assert decoded.size == ((16, 32) if orientation in (6, 8) else (32, 16))
    x, y = (corner[0] * (decoded.width - 1), corner[1] * (decoded.height - 1))
    assert max(decoded.getpixel((x, y))) < 30
    assert min(decoded.getpixel((decoded.width - 1 - x, decoded.height - 1 - y))) > 225


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_counts_as_none():
    data = encode(noise(size=(8, 8)), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    assert decode_image(data).size == (8, 8)


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_lossless_image_of_the_models_size_passes_unchanged(mode, channels, kind, options):
    original = noise(mode, (32, 32))
    prepared = prepare_image(decode_image(encode(original, kind, **options)), (channels, 32, 32))
    assert prepared.dtype == torch.float32
    pixels = np.asarray(original).reshape(32, 32, channels).transpose(2, 0, 1)
    assert torch.equal((prepared * 255).round().to(torch.uint8), torch.from_numpy(pixels.copy()))


def test_centre_is_cut_before_resizing():
    image = Image.new("RGB", (30, 10), RED)
    image.paste(GREEN, (10, 0, 20, 10))
    prepared = prepare_image(image, (3, 5, 5))
    assert torch.equal(prepared, torch.tensor([0.0, 1.0, 0.0]).view(3, 1, 1).expand(3, 5, 5))


def test_shrinking_averages():
    board = Image.fromarray((np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8))
    prepared = prepare_image(board, (1, 8, 8))
    assert (prepared - 0.5).abs().max() < 0.02


def test_colour_becomes_grey_and_grey_colour():
    grey = prepare_image(Image.new("RGB", (4, 4), RED), (1, 4, 4))
    assert torch.allclose(grey, torch.tensor(76 / 255))
    colour = prepare_image(Image.new("L", (4, 4), 51), (3, 4, 4))
    assert torch.allclose(colour, torch.tensor(0.2))


def test_other_channel_numbers_are_refused():
    with pytest.raises(InvalidInputError, match="1 or 3 channels"):
        prepare_image(Image.new("L", (4, 4)), (2, 4, 4))
