"""What the server answers, refuses and reveals."""

from dataclasses import replace

import pytest

from dashboard.components.controls import setting_field
from dashboard.pages.inspect import cards
from dashboard.security import is_allowed_host, is_loopback
from dashboard.services import EXTENSION
from dashboard.settings import MAX_BODY_BYTES, Settings
from engine.registry import Parameter
from tests.dashboard.conftest import call, drawn

ERRORS = [
    ("inspect-errors", "children"),
    *[(f"inspect-{n}", "invalid") for n in ("number", "epsilon", "theta", "seed")],
]


def test_it_is_healthy(client):
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json == {"status": "ok"}


def test_two_applications_live_in_one_process(new_app, client):
    other = new_app()
    assert other.server.test_client().get("/").status_code == 200
    assert client.get("/").status_code == 200
    assert other.server.extensions[EXTENSION] is not client.application.extensions[EXTENSION]
    first, second = (new_app() for _ in range(2))
    assert set(first.callback_map) == set(second.callback_map)


def test_the_page_loads_nothing_from_elsewhere(client):
    page = client.get("/").text
    assert "http://" not in page.replace("http://localhost", "")
    assert "https://" not in page


def test_the_policy_allows_no_inline_scripts_but_those_hashed(client):
    client.get("/")
    policy = client.get("/").headers["Content-Security-Policy"]
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "unsafe" not in scripts
    assert "'sha256-" in scripts
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8050", "localhost.evil.example", "", "[::1", "10.0.0.1"]
)
def test_a_foreign_host_is_refused(client, host):
    answer = client.get("/healthz", headers={"Host": host})
    assert answer.status_code == 400


@pytest.mark.parametrize("host", ["localhost", "localhost:8050", "127.0.0.1:1", "[::1]:8050"])
def test_this_machine_is_let_in(client, host):
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_a_server_on_the_network_knows_its_names(tmp_path):
    settings = Settings(data_dir=tmp_path, host="0.0.0.0", allowed_hosts=("lab.example",))
    assert is_allowed_host("lab.example:8050", settings)
    assert is_allowed_host("10.0.0.7:8050", settings)
    assert not is_allowed_host("evil.example", settings)
    assert not is_loopback("0.0.0.0")
    assert is_loopback("::1")


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_cross_site_post_is_refused(client, headers):
    answer = call(client, ERRORS, [("inspect-selection", "data", "")], headers=headers)
    assert answer.status_code == 403


def test_our_own_post_is_let_in(client):
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert call(client, ERRORS, [("inspect-selection", "data", "")], headers=headers).status_code == 200


def test_a_body_over_the_limit_is_413(client):
    answer = client.post("/_dash-update-component", data=b"0" * (MAX_BODY_BYTES + 1), content_type="application/json")
    assert answer.status_code == 413
    assert "16 MB" in answer.json["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"output": "nothing.children"}', b"\xff\xfe"])
def test_a_broken_request_gives_no_traceback(client, body):
    answer = client.post("/_dash-update-component", data=body, content_type="application/json")
    assert answer.status_code >= 400
    assert "Traceback" not in answer.text
    assert answer.json["error"]


def test_an_unexpected_error_is_logged_not_shown(new_app, monkeypatch, caplog):
    app = new_app()
    services = app.server.extensions[EXTENSION]

    def fail(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(services), "parse", fail)
    answer = call(app.server.test_client(), ERRORS, [("inspect-selection", "data", "")])
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text


def test_a_password_is_asked_for(new_app):
    client = new_app(password="open sesame").server.test_client()
    assert client.get("/").status_code == 401
    assert client.get("/", auth=("anyone", "wrong")).status_code == 401
    assert client.get("/", auth=("anyone", "open sesame")).status_code == 200


def test_a_wrong_field_is_shown(client):
    answer = call(client, ERRORS, [("inspect-selection", "data", "?theta=abc")])
    assert answer.status_code == 200
    assert "expected a number" in answer.text
    assert answer.json["response"]["inspect-theta"]["invalid"] is True


@pytest.mark.parametrize("path", ["/", "/classes", "/jobs"])
@pytest.mark.parametrize("search", ["", "?theta=abc&model=none&image=x", "?" + "a" * 5000, "?theta=1&theta=2"])
def test_every_page_is_laid_out_for_any_link(client, path, search):
    answer = call(
        client,
        [("_pages_content", "children"), ("_pages_store", "data")],
        [("_pages_location", "pathname", path), ("_pages_location", "search", search)],
        [("shown-selection", "data", None)],
    )
    assert answer.status_code == 200, answer.text[:300]
    assert ("This view cannot be shown" in answer.text) == bool(search)


def test_a_page_that_shows_the_selection_already_is_left_alone(client):
    answer = call(
        client,
        [("_pages_content", "children"), ("_pages_store", "data")],
        [("_pages_location", "pathname", "/"), ("_pages_location", "search", "?theta=0.6")],
        [("shown-selection", "data", {"path": "/", "search": "?theta=0.6"})],
    )
    assert "_pages_content" not in answer.json["response"]


def laid_out(client, path, search=""):
    return call(
        client,
        [("_pages_content", "children"), ("_pages_store", "data")],
        [("_pages_location", "pathname", path), ("_pages_location", "search", search)],
        [("shown-selection", "data", None)],
    ).text


def test_an_address_that_is_no_page_says_so_in_the_frame(client):
    text = laid_out(client, "/nosuchpage")
    assert "There is no such page" in text
    assert "Go to Inspect" in text


def test_what_is_wrong_can_be_left_out_of_the_link(client):
    text = laid_out(client, "/", "?theta=abc&image=test:3&foo=1&" + "y" * 60 + "=2")
    assert '"href":"?image=test%3A3"' in text.replace(": ", ":")
    assert '"href":"?"' in laid_out(client, "/", "?theta=abc").replace(": ", ":")


def test_a_figure_does_not_speak_of_marked_fields_that_are_not_there(client):
    card = cards.ORIGINAL
    inputs = [("inspect-selection", "data", "?foo=1"), ("theme", "data", "light")]
    message = drawn(client, card, inputs)[card.part("message")]
    assert "named at the top of the page" in str(message)


@pytest.mark.parametrize("path", ["/", "/classes", "/jobs"])
def test_damaged_weights_are_told_on_every_page(app, client, monkeypatch, path):
    services = app.server.extensions[EXTENSION]
    loaded = services.choices.get("lenet5-digits")
    damaged = replace(loaded, classifier=replace(loaded.classifier, warning="fc1.weight holds NaN."))
    monkeypatch.setattr(type(services.choices), "get", lambda *_: damaged)
    assert "fc1.weight holds NaN." in laid_out(client, path, "?model=lenet5-digits")


def test_a_whole_number_is_written_in_full():
    seed = Parameter("seed", "seed", "int", 0, low=0, high=2**31 - 1, help="Seed.")
    assert "From 0 to 2,147,483,647." in str(setting_field({"type": "t", "name": "seed"}, seed, 0, None))
