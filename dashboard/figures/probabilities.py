"""The strongest classes of an image before and after an attack, and of the pinned image, as grouped bars."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboard.figures.labels import shorten, unique_labels
from dashboard.figures.theme import Theme, bar_marker, new_figure

_NAME_LENGTH = 12  # longer names would take the bars' place; hover has them in full
_TEXT_SIZE = 11
_SHOWN_FROM = 0.0005  # what would be written 0.0% says nothing


def top_probabilities(
    class_names: Sequence[str],
    before: npt.NDArray[np.floating],
    after: npt.NDArray[np.floating] | None = None,
    theme: Theme = "light",
    k: int = 5,
    reference: npt.NDArray[np.floating] | None = None,
) -> go.Figure:
    """Probabilities of every class among the top k of any of the images, the most probable on top.

    Args:
        class_names: K names.
        before: (K,) probabilities in [0, 1] for the original image.
        after: (K,) for the adversarial image, or None where there is none.
        theme: `"light"` or `"dark"`.
        k: how many classes of each to show; all classes that are in any list appear with all bars.
        reference: (K,) for the pinned image, or None where none is pinned.

    Raises:
        ValueError: when the probabilities are not one a class name.
    """
    names = unique_labels(class_names)
    given = {"clean": before, "adversarial": after, "reference": reference}
    series = {meaning: values for meaning, values in given.items() if values is not None}
    for meaning, values in series.items():
        if np.shape(values) != (len(names),):
            raise ValueError(f"Expected {len(names)} probabilities ({meaning}), one a class, got {np.shape(values)}.")
    stacked = np.array(list(series.values()), dtype=np.float64)
    shown = _union_of_top(stacked, k)
    figure = new_figure(theme, barmode="group", bargap=0.25, bargroupgap=0.08, showlegend=len(series) > 1)
    for meaning, values in zip(series, stacked, strict=True):
        figure.add_trace(_bars(meaning, [names[i] for i in shown], values[shown], shown, theme))
    # From the card's edge, not the bars': beside the names too little room is left for three entries.
    place = {"xref": "container", "x": 0, "yref": "container", "y": 1, "yanchor": "top"}
    figure.update_layout(legend={"traceorder": "normal", "font": {"size": 11}, **place})
    # The bars carry their values; room to the right of a full bar for its "100.0%".
    figure.update_xaxes(range=[0, 1.3], showticklabels=False, showgrid=False)
    ticks = {"tickvals": [names[i] for i in shown], "ticktext": [shorten(class_names[i], _NAME_LENGTH) for i in shown]}
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, tickfont={"size": 12}, **ticks)
    return figure


def _union_of_top(stacked: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.int64]:
    """Indices of the classes in any row's top k, by their largest probability, ties by the lower index."""
    top = np.argsort(-stacked, axis=1, kind="stable")[:, :k]
    union = np.unique(top)
    return union[np.argsort(-stacked[:, union].max(axis=0), kind="stable")]


def _bars(meaning: str, names: list[str], values: npt.NDArray[np.float64], classes: np.ndarray, theme: Theme) -> go.Bar:
    return go.Bar(
        name=meaning,
        orientation="h",
        x=values,
        y=names,
        text=[f"{value:.1%}" if value >= _SHOWN_FROM else "" for value in values],
        textposition="outside",
        # Plotly would shrink the text to the height of its bar.
        constraintext="none",
        textfont={"size": _TEXT_SIZE},
        textangle=0,
        cliponaxis=False,
        customdata=classes,
        marker=bar_marker(meaning, theme),
        hovertemplate="%{y}: %{x:.2%} %{fullData.name}<extra></extra>",
    )
