"""Names that people gave (classes, layers) as figure text: never markup, never doubled, never too long.

Plotly reads a small HTML dialect (`<b>`, `<a href>`) in every text. Class names come from folder names, so they are
escaped. Category axes merge equal names (ImageNet has two classes called "crane"), so doubled names get their index.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.names import told_apart

Series = Mapping[str, float] | Sequence[float] | npt.NDArray[np.floating]


def plain(text: object) -> str:
    """Text that plotly shows as it is, without reading tags or entities in it."""
    return html.escape(str(text), quote=False)


def shorten(text: object, limit: int) -> str:
    """At most `limit` characters of a name, with an ellipsis where it was cut, escaped like `plain`."""
    text = str(text)
    return plain(text if len(text) <= limit else text[: limit - 1].rstrip() + "…")


def unique_labels(names: Sequence[str]) -> list[str]:
    """One escaped label per name, in order; names that occur more than once get their index: `crane (134)`."""
    return [plain(label) for label in told_apart(names)]


def layer_ticks(layers: Sequence[str]) -> dict[str, Any]:
    """Settings of a category axis of layers: every layer has a tick; long names lose their middle, not in the hover."""
    texts = [plain(name if len(name) <= 16 else f"{name[:8]}…{name[-7:]}") for name in layers]
    ticks = {"type": "category", "tickvals": unique_labels(layers), "ticktext": texts}
    return ticks if len(layers) <= 12 else ticks | {"tickangle": -90, "tickfont": {"size": 11}}


def series(layers: Sequence[str], values: Series) -> npt.NDArray[np.float64]:
    """Values in the order of the layers.

    Args:
        layers: the layer names.
        values: a value per layer name (absent layers become NaN, a gap), or a sequence as long as `layers`.

    Raises:
        ValueError: when a sequence has another length than `layers`.
    """
    if isinstance(values, Mapping):
        return np.array([values.get(layer, np.nan) for layer in layers], dtype=np.float64)
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (len(layers),):
        raise ValueError(f"Expected {len(layers)} values, one a layer, got an array of shape {array.shape}.")
    return array
