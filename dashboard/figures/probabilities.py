"""The strongest classes of an image before and after an attack, as paired bars."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboard.figures.labels import shorten, unique_labels
from dashboard.figures.theme import Theme, bar_marker, new_figure


def top_probabilities(
    class_names: Sequence[str],
    before: npt.NDArray[np.floating],
    after: npt.NDArray[np.floating] | None = None,
    theme: Theme = "light",
    k: int = 5,
) -> go.Figure:
    """Probabilities of every class among the top k before or after, the most probable on top.

    Args:
        class_names: K names.
        before: (K,) probabilities in [0, 1] for the original image.
        after: (K,) for the adversarial image, or None where there is none.
        theme: `"light"` or `"dark"`.
        k: how many classes of each to show; all classes that are in either list appear with both bars.

    Raises:
        ValueError: when the probabilities are not one a class name.
    """
    names = unique_labels(class_names)
    series = [("clean", "clean", before)] + ([] if after is None else [("adversarial", "adversarial", after)])
    for label, _, values in series:
        if np.shape(values) != (len(names),):
            raise ValueError(f"Expected {len(names)} probabilities ({label}), one a class, got {np.shape(values)}.")
    stacked = np.array([values for _, _, values in series], dtype=np.float64)
    shown = _union_of_top(stacked, k)
    figure = new_figure(theme, barmode="group", bargap=0.3, bargroupgap=0.08)
    for (label, meaning, _), values in zip(series, stacked, strict=True):
        figure.add_trace(_bars(label, meaning, [names[i] for i in shown], values[shown], shown, theme))
    figure.update_layout(legend={"traceorder": "normal"}, showlegend=after is not None)
    figure.update_xaxes(range=[0, 1.12], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    ticks = {"tickvals": [names[i] for i in shown], "ticktext": [shorten(class_names[i], 24) for i in shown]}
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, **ticks)
    return figure


def _union_of_top(stacked: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.int64]:
    """Indices of the classes in any row's top k, by their largest probability, ties by the lower index."""
    top = np.argsort(-stacked, axis=1, kind="stable")[:, :k]
    union = np.unique(top)
    return union[np.argsort(-stacked[:, union].max(axis=0), kind="stable")]


def _bars(
    label: str, meaning: str, names: list[str], values: npt.NDArray[np.float64], classes: np.ndarray, theme: Theme
) -> go.Bar:
    return go.Bar(
        name=label,
        orientation="h",
        x=values,
        y=names,
        text=values,
        texttemplate="%{x:.1%}",
        textposition="outside",
        cliponaxis=False,
        customdata=classes,
        marker=bar_marker(meaning, theme),
        hovertemplate="%{y}: %{x:.2%} %{fullData.name}<extra></extra>",
    )
