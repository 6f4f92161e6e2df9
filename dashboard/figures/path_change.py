"""How the effective path of one image changes, layer by layer, when something in the network is changed."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboard.figures.labels import layer_ticks, unique_labels
from dashboard.figures.theme import Theme, bar_marker, new_figure

#: The parts of a bar from the left, by what their colours mean.
_PARTS = (("adversarial", "only before"), ("shared", "before and with the change"), ("accent", "only with the change"))


def path_change(layers: Sequence[str], counts: npt.NDArray[np.integer], theme: Theme = "light") -> go.Figure:
    """A bar a layer, the share of synapses that the path has only before, in both cases, and only under the change.

    Args:
        layers: L names in execution order.
        counts: (L, 3) synapses of the three kinds.
        theme: `"light"` or `"dark"`.

    Raises:
        ValueError: when there are not three counts a layer.
    """
    given = np.asarray(counts)
    if given.shape != (len(layers), 3):
        raise ValueError(f"Expected three counts for each of {len(layers)} layers, got {given.shape}.")
    names = unique_labels(layers)
    totals = given.sum(axis=1)
    shares = np.divide(given, totals[:, None], out=np.zeros(given.shape), where=totals[:, None] > 0)
    figure = new_figure(theme, barmode="stack", bargap=0.35)
    for place, (meaning, label) in enumerate(_PARTS):
        rows = [
            [layer, label, int(count), float(share)]
            for layer, count, share in zip(layers, given[:, place], shares[:, place], strict=True)
        ]
        bars = go.Bar(
            name=label,
            x=names,
            y=shares[:, place],
            marker=bar_marker(meaning, theme),
            customdata=rows,
            meta={"columns": ["layer", "kind", "synapses", "share"]},
            hovertemplate="%{x}: %{customdata[2]:,} synapses, %{y:.1%}<extra>%{fullData.name}</extra>",
        )
        figure.add_trace(bars)
    figure.update_layout(legend={"traceorder": "normal", "font": {"size": 12}})
    figure.update_xaxes(showgrid=False, title_text="layer", **layer_ticks(layers))
    figure.update_yaxes(title_text="synapses of both paths", tickformat=".0%", range=[0, 1])
    return figure
