"""What every request must pass, and what every answer carries."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import secrets
import socket
from urllib.parse import urlsplit

import flask
from dash import Dash
from werkzeug.exceptions import HTTPException

from dashboard.addresses import is_loopback
from dashboard.settings import MAX_BODY_BYTES, Settings
from engine.errors import EngineError, UnknownNameError

log = logging.getLogger(__name__)

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def host_name(host: str) -> str:
    """The name in a ``Host`` header, without port and brackets, in lower case; "" when it is not one."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def is_allowed_host(header: str, settings: Settings) -> bool:
    """Whether a ``Host`` header names this server.

    A page elsewhere can make its own name resolve to this machine (DNS rebinding); its requests then carry that name.
    Addresses written as numbers cannot be abused so, hence a server open to the network takes any of those.
    """
    name = host_name(header)
    if name in _LOCAL_NAMES or name in settings.allowed_hosts or name == settings.host:
        return True
    if is_loopback(settings.host):
        return False
    if name == socket.gethostname().lower():
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_cross_site(request: flask.Request) -> bool:
    """Whether another site's page sent this request."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host


def _content_security_policy(app: Dash) -> str:
    scripts = " ".join(["'self'", *app.csp_hashes()])
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {scripts}",
            # plotly and React set style attributes, and plotly adds a style element.
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


def _refuse(status: int, message: str) -> flask.Response:
    answer = flask.jsonify({"error": message})
    answer.status_code = status
    return answer


def _check_password(settings: Settings) -> flask.Response | None:
    if settings.password is None:
        return None
    given = flask.request.authorization
    if given is not None and hmac.compare_digest((given.password or "").encode(), settings.password.encode()):
        return None
    answer = _refuse(401, "This server asks for a password.")
    answer.headers["WWW-Authenticate"] = 'Basic realm="Detour", charset="UTF-8"'
    return answer


def _check_request(settings: Settings) -> flask.Response | None:
    request = flask.request
    if not is_allowed_host(request.headers.get("Host", ""), settings):
        return _refuse(400, "This server does not go by that name; start it with --allowed-host NAME to allow it.")
    if request.method not in ("GET", "HEAD", "OPTIONS") and is_cross_site(request):
        return _refuse(403, "Requests from other sites are refused.")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        return _refuse(413, f"The request is larger than {MAX_BODY_BYTES // 2**20} MB; send a smaller file.")
    return _check_password(settings)


def _answer_error(error: Exception) -> flask.Response:
    if isinstance(error, HTTPException):
        return _refuse(error.code or 500, error.description or error.name)
    if isinstance(error, UnknownNameError):
        return _refuse(404, str(error))
    if isinstance(error, EngineError):
        return _refuse(422, str(error))
    reference = secrets.token_hex(4)
    log.error("unexpected error %s at %s", reference, flask.request.path, exc_info=error)
    return _refuse(500, f"Something went wrong on the server. Its log has the details under {reference}.")


def protect(app: Dash, settings: Settings) -> None:
    """Installs request checks, answer headers and error answers; call it once all callbacks are registered."""
    server = app.server
    server.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    server.before_request(lambda: _check_request(settings))
    server.register_error_handler(Exception, _answer_error)

    @server.after_request
    def add_headers(answer: flask.Response) -> flask.Response:
        # Made anew each time: Dash adds its page router's inline script at the first request.
        answer.headers["Content-Security-Policy"] = _content_security_policy(app)
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "same-origin"
        answer.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        return answer
