"""The connection to the Redis server that the person who starts a server or a worker names."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from engine.errors import EngineError, InvalidInputError

#: What jobs beyond one machine need besides requirements.txt.
PACKAGES = "rq>=3,<4"
_SCHEMES = ("redis", "rediss", "unix")
_TIMEOUT_S = 5.0


def package(name: str) -> ModuleType:
    """A module of the optional packages rq and redis.

    Raises:
        EngineError: naming the command that installs them.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EngineError(
            f"Jobs on Redis need the optional package rq, which cannot be imported ({error}). "
            f'Run: pip install "{PACKAGES}"'
        ) from error


def connect(url: str, *, timeout_s: float | None = _TIMEOUT_S, as_text: bool = True) -> Any:
    """A client of a Redis server; nothing is sent yet.

    Args:
        url: redis://, rediss:// (encrypted) or unix://, with the number of a database.
        timeout_s: an answer that takes longer is an error; None leaves it to who uses the client.
        as_text: whether answers are text; RQ wants bytes.

    Raises:
        EngineError: if the packages are not there.
        InvalidInputError: if the URL is none.
    """
    redis, retry = package("redis"), package("redis.retry")
    backoff = package("redis.backoff")
    expected = f"--redis: expected a URL such as redis://127.0.0.1:6379/0 ({', '.join(_SCHEMES)}); got {shown(url)!r}"
    if urlsplit(url).scheme not in _SCHEMES:
        raise InvalidInputError(f"{expected}.")
    try:
        # A command that was lost is not sent again unseen: who sent it knows whether it may be done twice.
        return redis.Redis.from_url(
            url, decode_responses=as_text, socket_timeout=timeout_s, socket_connect_timeout=_TIMEOUT_S,
            retry=retry.Retry(backoff.NoBackoff(), 0),
        )  # fmt: skip
    except ValueError as error:
        raise InvalidInputError(f"{expected}: {error}.") from error


def require_answer(client: Any, url: str) -> None:
    """Makes sure that the server is there.

    Raises:
        EngineError: saying why it cannot be used.
    """
    try:
        client.ping()
    except package("redis").RedisError as error:
        raise EngineError(
            f"The Redis server at {shown(url)} cannot be used ({error}); start it, or give another --redis."
        ) from error


def shown(url: str) -> str:
    """A URL without its user and password."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
        return urlunsplit((parts.scheme, (parts.hostname or "") + port, parts.path, "", ""))
    except ValueError:
        return "a text that is no URL"
