"""The Inspect page's callbacks, called as the browser does."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from dashboard.components.pictures import npy_bytes, png_bytes
from dashboard.pages.inspect import cards
from dashboard.services.uploads import Uploads, upload_bytes
from dashboard.settings import MAX_UPLOAD_BYTES
from engine.errors import InvalidInputError
from tests.dashboard.answers import deadline
from tests.dashboard.conftest import call, drawn, words

QUERY = "?model=lenet5-digits&image=test:17&attack=pgd_linf&epsilon=0.2"
UPLOAD_OUTPUTS = [("inspect-uploaded", "data"), ("inspect-upload-note", "children")]


def draw(client, card, search=QUERY, theme="light", paths=False):
    inputs = [("inspect-selection", "data", search), ("theme", "data", theme)]
    inputs += [("inspect-paths", "data", None)] if paths else []
    return drawn(client, card, inputs)


def data_url(data):
    return "data:image/png;base64," + base64.b64encode(data).decode()


def send(client, data, name="image.png"):
    answer = call(
        client, UPLOAD_OUTPUTS, [("inspect-upload", "contents", data_url(data))], [("inspect-upload", "filename", name)]
    )
    assert answer.status_code == 200
    return answer.json["response"]


@pytest.mark.parametrize(
    "card", [card for card in cards.ALL if card not in (*cards.CLASS_DEPENDENT, cards.DETECTOR)], ids=lambda c: c.name
)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_figure_is_drawn(client, card, theme):
    response = draw(client, card, theme=theme)
    assert response[card.part("place")]["className"] == "figure-place"
    assert response[card.part("graph")]["figure"]["data"]


def test_a_figure_waits_for_class_paths_and_is_drawn_when_they_are_there(client, services):
    response = draw(client, cards.RANK_1, paths=True)
    if services.normal_paths.ask("lenet5-digits", 0.5).normal is None:
        assert "is-waiting" in response[cards.RANK_1.part("place")]["className"]
    deadline(lambda: services.normal_paths.ask("lenet5-digits", 0.5).normal)
    response = draw(client, cards.RANK_1, paths=True)
    assert response[cards.RANK_1.part("place")]["className"] == "figure-place"
    normal = services.normal_paths.ask("lenet5-digits", 0.5).normal
    low, high = normal.bands[1]
    assert all(0 <= low[layer] <= high[layer] <= 1 for layer in low)
    assert normal.band_images == 200


def test_a_wrong_field_leaves_the_figure_empty_with_a_reason(client):
    response = draw(client, cards.ORIGINAL, search="?theta=7")
    assert "is-empty" in response[cards.ORIGINAL.part("place")]["className"]


def test_an_attack_that_cannot_run_is_told_in_the_verdict_and_the_cards_point_there(client, services):
    label = services.inspections.subject("lenet5-digits", "test:17").label
    search = f"{QUERY}&target={label}"
    response = draw(client, cards.ADVERSARIAL, search=search)
    assert "is-empty" in response[cards.ADVERSARIAL.part("place")]["className"]
    assert "the verdict above says why" in str(response[cards.ADVERSARIAL.part("message")])
    assert "another class" in str(words(client, search)["inspect-verdict"])
    assert draw(client, cards.ORIGINAL, search=search)[cards.ORIGINAL.part("place")]["className"] == "figure-place"


def test_the_table_of_a_figure_can_be_saved(client):
    card = cards.PROBABILITIES
    inputs = [(card.part("html"), "n_clicks", 0), (card.part("csv"), "n_clicks", 1)]
    state = [("inspect-selection", "data", QUERY), ("theme", "data", "light")]
    answer = call(client, [(card.part("file"), "data")], inputs, state, changed=f"{card.part('csv')}.n_clicks")
    saved = answer.json["response"][card.part("file")]["data"]
    assert saved["filename"].endswith(".csv")
    assert base64.b64decode(saved["content"]).startswith(b"trace,")


@pytest.mark.parametrize("kind", ["png", "npy"])
def test_the_adversarial_image_can_be_saved(client, services, kind):
    inputs = [("inspect-save-png", "n_clicks", 1), ("inspect-save-npy", "n_clicks", 1)]
    answer = call(
        client,
        [("inspect-save-file", "data")],
        inputs,
        [("inspect-selection", "data", QUERY)],
        changed=f"inspect-save-{kind}.n_clicks",
    )
    data = base64.b64decode(answer.json["response"]["inspect-save-file"]["data"]["content"])
    pixels = services.inspections.inspect(services.select(QUERY)).adversarial.pixels
    if kind == "npy":
        assert np.array_equal(np.load(io.BytesIO(data), allow_pickle=False), pixels)
    else:
        assert Image.open(io.BytesIO(data)).mode == "L"
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), np.rint(pixels[0] * 255))


def test_a_saved_image_sent_back_gets_the_very_same_answer(client, services):
    adversarial = services.inspections.inspect(services.select(QUERY)).adversarial
    response = send(client, png_bytes(adversarial.pixels))
    again = services.inspections.subject("lenet5-digits", response["inspect-uploaded"]["data"])
    assert np.array_equal(again.pixels, np.rint(adversarial.pixels * 255).astype(np.float32) / np.float32(255))
    survives = services.inspections.inspect(services.select(QUERY)).result.survives_rounding[0]
    assert survives == (again.ranking[0] == adversarial.ranking[0])
    assert again.label is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"II*\0rest", "TIFF"),
        (b"<svg xmlns='x'/>", "SVG"),
        (b"\x89PNG\r\n\x1a\nbroken", "damaged"),
        (b"?" * 99, "something else"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(client, data, reason):
    response = send(client, data)
    assert "inspect-uploaded" not in response
    assert reason in str(response["inspect-upload-note"])


def test_a_file_name_stays_text(client, services):
    name = '../../x"><img onerror=alert(1)>'
    note = send(client, b"nothing", name)["inspect-upload-note"]["children"]
    assert note["props"]["children"].startswith(name)
    before = set(services.settings.data_dir.rglob("*"))
    response = send(client, png_bytes(np.zeros((1, 5, 5))), name)
    new = {file.name for file in set(services.settings.data_dir.rglob("*")) - before if file.suffix}
    assert new == {response["inspect-uploaded"]["data"].removeprefix("upload:") + ".png"}


def test_a_file_over_the_limit_is_refused():
    with pytest.raises(InvalidInputError, match="10 MB"):
        upload_bytes(data_url(b"0" * (MAX_UPLOAD_BYTES + 1)))
    with pytest.raises(InvalidInputError, match="not a file"):
        upload_bytes("hello")
    with pytest.raises(InvalidInputError, match="damaged"):
        upload_bytes("data:image/png;base64,???")


def test_uploads_are_kept_once_by_content_and_leave_no_partial_file(tmp_path):
    uploads = Uploads(tmp_path)
    colour = np.random.default_rng(0).random((3, 40, 30))
    first = uploads.add(png_bytes(colour))
    buffer = io.BytesIO()
    Image.open(io.BytesIO(png_bytes(colour))).save(buffer, "PNG", compress_level=0)
    assert uploads.add(buffer.getvalue()) == first
    assert len(list(tmp_path.iterdir())) == 1
    assert uploads.load(first).size == (30, 40)
    assert not uploads.has("upload:../../etc/passwd")
    with pytest.raises(InvalidInputError):
        uploads.load("upload:" + "0" * 64)


def test_numpy_files_hold_float32():
    assert np.load(io.BytesIO(npy_bytes(np.zeros((1, 2, 2))))).dtype == np.float32


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def odd_images():
    """Images in unusual modes, each with what the model is expected to see of its first pixel, in 0 to 255."""
    deep = Image.fromarray(np.full((28, 28), 0x80FF, dtype=np.uint16))
    yield "16 bit", encoded(deep), 0x80
    cmyk = Image.new("CMYK", (28, 28), (0, 0, 0, 255))
    yield "CMYK", encoded(cmyk, "JPEG", quality=100), 0
    palette = Image.new("P", (28, 28), 1)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    yield "palette", encoded(palette), 29  # blue as grey
    yield "palette with alpha", encoded(palette, transparency=1), 255  # laid on white
    yield "alpha", encoded(Image.new("LA", (28, 28), (0, 0))), 255
    frames = [Image.new("L", (28, 28), value) for value in (40, 200)]
    yield "animated", encoded(frames[0], save_all=True, append_images=frames[1:]), 40
    turned = Image.new("L", (28, 28), 255)
    turned.paste(7, (0, 14, 28, 28))  # dark below; the orientation says that this is above
    exif = Image.Exif()
    exif[0x0112] = 3
    yield "EXIF-rotated", encoded(turned, exif=exif.tobytes()), 7


@pytest.mark.parametrize(("data", "expected"), [pytest.param(*rest, id=name) for name, *rest in odd_images()])
def test_unusual_images_are_converted_as_documented(client, services, data, expected):
    response = send(client, data)
    seen = services.inspections.subject("lenet5-digits", response["inspect-uploaded"]["data"])
    assert seen.pixels.shape == (1, 28, 28)
    assert abs(255 * seen.pixels[0, 0, 0] - expected) <= 2
