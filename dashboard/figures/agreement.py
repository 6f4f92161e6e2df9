"""Are the same units sensitive, whichever class an attack leads to?"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go

from dashboard.figures.axes import numbers
from dashboard.figures.labels import layer_ticks, unique_labels
from dashboard.figures.theme import Theme, bar_marker, new_figure

# Two measures of agreement have no colour of their own; these two carry no meaning.
_MEASURES: Final = (("levenshtein", "same order (Levenshtein)", "accent"), ("jaccard", "same units (Jaccard)", "muted"))


def agreement_bars(agreement: Sequence[Mapping[str, Any]], theme: Theme = "light") -> go.Figure:
    """How alike the lists of the most sensitive units of the target classes are, two bars a layer.

    Args:
        agreement: of each layer in execution order `layer`, `levenshtein` and `jaccard`, in [0, 1]; None is a gap.
        theme: `"light"` or `"dark"`.
    """
    layers = [entry["layer"] for entry in agreement]
    names = unique_labels(layers)
    figure = new_figure(theme, bargap=0.3, bargroupgap=0.06, showlegend=bool(layers))
    for key, name, meaning in _MEASURES:
        values = numbers([entry[key] for entry in agreement])
        bars = go.Bar(
            name=name,
            x=names,
            y=values,
            marker=bar_marker(meaning, theme),
            customdata=[[layer, value] for layer, value in zip(layers, values.tolist(), strict=True)],
            meta={"columns": ["layer", "agreement"]},
            hovertemplate="%{x}: %{y:.3f}<extra>%{fullData.name}</extra>",
        )
        figure.add_trace(bars)
    figure.update_xaxes(showgrid=False, title_text="layer", **layer_ticks(layers))
    figure.update_yaxes(title_text="agreement of target classes<br>(1: the same)", range=[0, 1.02], nticks=6)
    return figure
