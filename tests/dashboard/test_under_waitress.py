"""Bad input against the production server: it lives on under the same pid, answers, and shows no traceback."""

import base64
import http.client
import io
import json
import time
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
from PIL import Image

from tests.conftest import running_app


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_app(tmp_path_factory.mktemp("waitress")) as running:
        yield running


def ask(server, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(urlparse(server.address).netloc, timeout=30)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


def half_written(server):
    return [f for f in server.home.rglob("*") if f.suffix in (".part", ".partial", ".tmp")]


@pytest.fixture(autouse=True)
def alive(server):
    """After every case: the same process, an answer within a second, nothing half-written."""
    yield
    begin = time.monotonic()
    status, _ = ask(server, "GET", "/healthz")
    assert status == 200
    assert time.monotonic() - begin < 1
    assert server.process.poll() is None
    end = time.monotonic() + 20  # the class paths of the first view may just be being written, which is no left-over
    while half_written(server) and time.monotonic() < end:
        time.sleep(0.1)
    assert not half_written(server)


def upload(server, data, name="picture.png"):
    """Drops a file on the Inspect page, as the browser sends it."""
    outputs = [("inspect-uploaded", "data"), ("inspect-upload-note", "children")]
    contents = "data:image/png;base64," + base64.b64encode(data).decode()
    body = {
        "output": "..{}..".format("...".join(f"{i}.{p}" for i, p in outputs)),
        "outputs": [{"id": i, "property": p} for i, p in outputs],
        "inputs": [{"id": "inspect-upload", "property": "contents", "value": contents}],
        "state": [{"id": "inspect-upload", "property": "filename", "value": name}],
        "changedPropIds": ["inspect-upload.contents"],
    }
    return ask(server, "POST", "/_dash-update-component", json.dumps(body), {"Content-Type": "application/json"})


def png(mode="L", size=(28, 28)):
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, "PNG")
    return buffer.getvalue()


def memory_mb(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def test_a_sound_image_is_taken(server):
    status, text = upload(server, png())
    assert status == 200
    assert "upload:" in text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (np.random.default_rng(0).bytes(5000), "PNG, JPEG or WebP"),
        (b"II*\x00" + bytes(200), "TIFF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PNG, JPEG or WebP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "PNG, JPEG or WebP"),
        (png()[:40], "damaged|truncated|cut|incomplete"),
    ],
    ids=["empty", "random", "tiff", "eps", "svg", "truncated"],
)
def test_what_is_no_image_is_refused_in_a_sentence(server, data, reason):
    status, text = upload(server, data)
    assert status == 200
    assert any(word.lower() in text.lower() for word in reason.split("|")), text
    assert "Traceback" not in text
    assert "upload:" not in text


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_decompression_bomb_is_refused_without_being_unpacked(server):
    bomb = png(size=(14_000, 14_000))
    upload(server, png())
    before = memory_mb(server.process.pid)
    status, text = upload(server, bomb)
    assert status == 200
    assert "25" in text
    assert "megapixel" in text
    assert memory_mb(server.process.pid) - before < 50


def test_a_body_over_the_limit_is_413(server):
    status, text = ask(
        server, "POST", "/_dash-update-component", b"x" * (20 << 20), {"Content-Type": "application/json"}
    )
    assert status == 413
    assert "Traceback" not in text


def test_hostile_file_names_are_inert(server):
    status, _ = upload(server, b"no image", name='../../x"><img onerror=alert(1)>.png')
    assert status == 200
    assert not list(server.home.parent.glob("x*"))
    assert not [f for f in server.home.rglob("*") if "onerror" in f.name]


@pytest.mark.parametrize(
    "query", ["?theta=7", "?epsilon=abc", "?image=test:-1", "?model=nobody", "?seed=" + "9" * 30_000]
)
def test_any_address_gets_a_page(server, query):
    status, text = ask(server, "GET", "/" + query)
    assert status in (200, 414, 431, 400)
    assert "Traceback" not in text


def test_a_million_characters_in_an_address_do_no_harm(server):
    try:
        status, text = ask(server, "GET", "/?theta=" + "1" * 1_000_000)
    except OSError:
        return  # the server hung up before it had all of it
    assert 400 <= status < 500
    assert "Traceback" not in text


def test_foreign_hosts_and_cross_site_posts_are_refused(server):
    assert ask(server, "GET", "/", headers={"Host": "evil.example"})[0] == 400
    crossing = {"Content-Type": "application/json", "Origin": "http://evil.example"}
    assert ask(server, "POST", "/_dash-update-component", "{}", crossing)[0] in (400, 403)


def test_a_hundred_browsers_that_keep_their_connections_shut_nobody_out(server):
    held = [http.client.HTTPConnection(urlparse(server.address).netloc, timeout=10) for _ in range(6 * 100)]
    try:
        for connection in held:
            connection.connect()
        for connection in (held[0], held[-1]):
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
        assert ask(server, "GET", "/healthz")[0] == 200
    finally:
        for connection in held:
            connection.close()
