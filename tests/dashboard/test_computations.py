"""Slow results hold up nobody, are computed once, and are given up when nobody asks."""

import threading
import time

import numpy as np
import pytest

from dashboard.services import computations as module
from dashboard.services.cache import ResultCache, weight
from dashboard.services.computations import Computations, Pending
from engine.errors import EngineError


@pytest.fixture
def computations():
    return Computations(ResultCache(10_000))


def test_a_quick_result_is_given_and_kept(computations):
    calls = []
    for _ in range(3):
        assert computations.get("key", lambda _: calls.append(1) or np.ones(3), patience=5).sum() == 3
    assert calls == [1]


def test_a_slow_result_is_pending_until_it_is_there_and_computed_once(computations):
    go, calls = threading.Event(), []

    def compute(progress):
        calls.append(1)
        progress(0.25, "a quarter")
        go.wait(10)
        return "result"

    for _ in range(5):
        with pytest.raises(Pending) as pending:
            computations.get("key", compute, patience=0.05)
    assert (pending.value.fraction, str(pending.value)) == (0.25, "a quarter")
    go.set()
    assert computations.get("key", compute, patience=5) == "result"
    assert calls == [1]


def test_a_failure_is_remembered_and_tried_again_later(computations, monkeypatch):
    calls = []

    def fail(_progress):
        calls.append(1)
        raise EngineError("cannot")

    for _ in range(3):
        with pytest.raises(EngineError, match="cannot"):
            computations.get("key", fail, patience=5)
    assert calls == [1]
    monkeypatch.setattr(module, "REMEMBERED_S", 0.0)
    with pytest.raises(EngineError, match="cannot"):
        computations.get("key", fail, patience=5)
    assert calls == [1, 1]


def test_an_unexpected_error_is_logged_and_says_so(computations, caplog):
    with pytest.raises(EngineError, match="log"):
        computations.get("key", lambda _: 1 / 0, patience=5)
    assert "ZeroDivisionError" in caplog.text


def test_work_that_nobody_asks_about_is_given_up(computations, monkeypatch):
    monkeypatch.setattr(module, "FORGOTTEN_AFTER_S", 0.1)
    ended = threading.Event()

    def compute(progress):
        try:
            for step in range(1000):
                progress(step / 1000, "working")
                time.sleep(0.01)
        finally:
            ended.set()

    with pytest.raises(Pending):
        computations.get("key", compute, patience=0.01)
    assert ended.wait(5)


def test_the_cache_keeps_what_was_used_last_within_its_limit():
    cache = ResultCache(3_000)
    for name in "abc":
        cache.keep(name, np.zeros(100))  # 800 bytes
    assert cache.get("a") is not None
    cache.keep("d", np.zeros(100))
    assert cache.get("b") is None
    assert cache.get("a") is not None
    cache.keep("large", np.zeros(10_000))
    assert cache.get("large") is None
    assert weight({"x": (np.zeros(10), [np.zeros(5)])}) >= 120
