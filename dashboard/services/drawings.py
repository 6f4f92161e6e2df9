"""Figures that were drawn before: drawing one costs more than all else that an answer takes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.services.cache import ResultCache


class Drawings:
    """Keeps figures by what they were drawn from."""

    def __init__(self, cache: ResultCache, identity: Callable[[str], Hashable | None]) -> None:
        """Keeps them in ``cache``.

        Args:
            cache: limited by their size.
            identity: of all that a query string's figures depend on besides the string itself (weights, images); None
                where nothing may be kept.
        """
        self._cache = cache
        self._identity = identity

    def get(self, name: str, values: Sequence[Any], draw: Callable[..., go.Figure]) -> dict[str, Any]:
        """A figure as plain values.

        Args:
            name: of its card.
            values: what it is drawn from; the first is a query string.
            draw: makes it from them; what it raises comes through, and nothing is kept.
        """
        identity = self._identity(str(values[0] or ""))
        if identity is None:
            return draw(*values).to_dict()
        key = (name, *values, identity)
        found = self._cache.get(key)
        if found is None:
            found = draw(*values).to_dict()
            self._cache.keep(key, found)
        return found
