"""How a training goes, epoch by epoch: the loss with its terms, and accuracy."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go

from dashboard.figures.axes import Numbers, numbers, value_axis
from dashboard.figures.labels import plain
from dashboard.figures.theme import CUES, Theme, new_figure, palette, sequence_style

_MOST_MARKS: Final = 40  # with more epochs the marks would hide the line
#: Of the accuracies: key in the curves, what it is measured on, and the colour's meaning.
_ACCURACIES: Final = (
    ("clean", "held-out images", "clean"),
    ("robust", "the same, attacked", "adversarial"),
    ("accuracy", "training images", "muted"),
)
Curves = Mapping[str, Any]


def loss_by_epoch(curves: Curves, epochs: int, theme: Theme = "light") -> go.Figure:
    """The loss that is minimised and, where it has several, its terms as they count in it, against the epoch.

    Args:
        curves: `total` (E,), and by term `terms` (E,) and `weights`; None is a gap.
        epochs: how many the training is to have; the axis shows all of them from the start.
        theme: `"light"` or `"dark"`.
    """
    terms: Mapping[str, Numbers] = curves["terms"] if len(curves["terms"]) > 1 else {}
    figure, seen = new_figure(theme, showlegend=bool(terms), hovermode="x"), list(numbers(curves["total"]))
    figure.add_trace(_line("loss", curves["total"], {"color": palette(theme)["ink"], "width": 2.5}, "circle", "loss"))
    for place, (name, values) in enumerate(terms.items()):
        weight = float(curves["weights"].get(name, 1.0))
        color, symbol, dash = sequence_style(place, theme)
        counted = weight * numbers(values)
        seen += counted.tolist()
        label = plain(name) if weight == 1 else f"{weight:.3g} × {plain(name)}"
        figure.add_trace(_line(label, counted, {"color": color, "dash": dash, "width": 2}, symbol, "loss"))
    _epoch_axis(figure, epochs)
    figure.update_yaxes(title_text="loss", zeroline=False, **value_axis(seen))
    return figure


def accuracy_by_epoch(curves: Curves, epochs: int, theme: Theme = "light") -> go.Figure:
    """Accuracy on training images, on held-out images and on attacked copies of these, against the epoch.

    Args:
        curves: `accuracy`, `clean` and `robust`, each (E,) shares in [0, 1]; None where it was not measured.
        epochs: how many the training is to have.
        theme: `"light"` or `"dark"`.
    """
    figure = new_figure(theme, hovermode="x")
    for key, label, meaning in _ACCURACIES:
        symbol, dash, _ = CUES[meaning]
        style = {"color": palette(theme)[meaning], "dash": dash, "width": 2.5 if meaning != "muted" else 1.5}
        figure.add_trace(_line(label, curves[key], style, symbol, "accuracy", ".1%"))
    _epoch_axis(figure, epochs)
    shares = {"tickvals": [0, 0.25, 0.5, 0.75, 1], "tickformat": ".0%", "zeroline": False}
    figure.update_yaxes(title_text="images classified<br>correctly", range=[-0.03, 1.03], **shares)
    return figure


def _line(
    name: str, values: Numbers, style: Mapping[str, Any], symbol: str, quantity: str, digits: str = ".4g"
) -> go.Scatter:
    found = numbers(values)
    epochs: Sequence[int] = range(1, len(found) + 1)
    return go.Scatter(
        name=name,
        x=list(epochs),
        y=found,
        mode="lines+markers" if len(found) <= _MOST_MARKS else "lines",
        line=dict(style),
        marker={"color": style["color"], "symbol": symbol, "size": 7},
        customdata=[[epoch, value] for epoch, value in zip(epochs, found.tolist(), strict=True)],
        meta={"columns": ["epoch", quantity]},
        hovertemplate=f"%{{y:{digits}}}<extra>%{{fullData.name}}</extra>",
    )


def _epoch_axis(figure: go.Figure, epochs: int) -> None:
    ticks = {"dtick": 1} if epochs <= 12 else {"nticks": 10}
    figure.update_xaxes(title_text="epoch", range=[0.6, max(epochs, 1) + 0.4], zeroline=False, showgrid=False, **ticks)
