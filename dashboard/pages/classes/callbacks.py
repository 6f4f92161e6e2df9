"""The callbacks of the Classes page."""

from __future__ import annotations

from urllib.parse import urlencode

import numpy as np
import plotly.graph_objects as go
from dash import Dash, Input, Output, dcc, html

from dashboard.components.figure_card import Waiting, register_card
from dashboard.components.pictures import picture_url
from dashboard.figures.class_matrix import class_similarity
from dashboard.figures.density import density_growth, density_per_layer
from dashboard.figures.similarity import pair_similarity
from dashboard.frame import THEME
from dashboard.pages.classes import cards, ids
from dashboard.pages.classes.layout import SHELL
from dashboard.pages.shell import tie
from dashboard.selection import Selection
from dashboard.services import Services
from engine.errors import EngineError
from engine.paths.class_paths import ClassPaths
from engine.paths.path import Path

EXAMPLES = 8


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""
    SHELL.register(app, services)
    _register_browser_side(app)
    _register_words(app, services)
    inputs = [Input(ids.SELECTION, "data"), Input(THEME, "data"), Input(ids.PATHS, "data")]
    for card, draw in (
        (cards.MATRIX, _matrix),
        (cards.PAIR, _pair),
        (cards.DENSITY, _density),
        (cards.GROWTH, _growth),
    ):
        register_card(app, card, _drawing(services, draw), inputs)


def _register_browser_side(app: Dash) -> None:
    tie(
        app,
        "classes",
        Output(ids.SELECTION, "data"),
        Output(ids.FIRST, "value"),
        Output(ids.SECOND, "value"),
        Input(ids.THETA, "value"),
        Input(cards.MATRIX.part("graph"), "clickData"),
        Input(ids.FIRST, "value"),
        Input(ids.SECOND, "value"),
        *SHELL.known(),
    )


def _drawing(services: Services, draw):
    def figure(search: str, theme: str, _paths: object) -> go.Figure:
        selection = services.select(search)
        class_paths = _class_paths(services, selection)
        if class_paths is None:
            raise Waiting
        return draw(class_paths, selection, theme)

    return figure


def _class_paths(services: Services, selection: Selection) -> ClassPaths | None:
    normal = services.normal_paths.ask(selection.model, selection.theta).normal
    return normal.class_paths if normal else None


def _matrix(class_paths: ClassPaths, _selection: Selection, theme: str) -> go.Figure:
    return class_similarity(class_paths.similarity(), class_paths.class_names, theme)


def _pair(class_paths: ClassPaths, selection: Selection, theme: str) -> go.Figure:
    first, second = (class_paths.paths[index] for index in _shown_pair(class_paths, selection))
    return pair_similarity(first.layers, first.jaccard_per_layer(second), theme)


def _density(class_paths: ClassPaths, _selection: Selection, theme: str) -> go.Figure:
    overall = class_paths.overall()
    each = [path.density_per_layer() for path in class_paths.paths]
    mean = {layer: float(np.mean([densities[layer] for densities in each])) for layer in overall.layers}
    values = {"all classes together": overall.density_per_layer(), "mean of one class": mean}
    return density_per_layer(overall.layers, values, theme)


def _growth(class_paths: ClassPaths, _selection: Selection, theme: str) -> go.Figure:
    return density_growth(class_paths.class_names, class_paths.density_growth(), theme)


def _register_words(app: Dash, services: Services) -> None:
    @app.callback(
        Output(ids.SUMMARY, "children"),
        Output(ids.PAIR_NUMBERS, "children"),
        Output(ids.PAIR_EXAMPLES, "children"),
        Input(ids.SELECTION, "data"),
        Input(ids.PATHS, "data"),
    )
    def tell(search: str, _paths: object) -> tuple[object, object, object]:
        try:
            selection = services.select(search)
            class_paths = _class_paths(services, selection)
        except EngineError:
            return None, None, None
        if class_paths is None:
            return None, None, None
        summary = _summary(class_paths)
        pair = _shown_pair(class_paths, selection)
        return summary, _pair_numbers(class_paths, pair), _pair_examples(services, selection, pair)


def _summary(class_paths: ClassPaths) -> list[object]:
    matrix, names = class_paths.similarity(), class_paths.class_names
    away = ~np.eye(len(matrix), dtype=bool)
    pair = _closest_pair(matrix)
    means = np.array([np.nanmean(row[others]) for row, others in zip(matrix, away, strict=True)])
    loner = int(np.nanargmin(means))
    return [
        f"Two classes share {_percent(np.nanmean(matrix[away]))} of their synapses on average. Closest: ",
        html.Strong(f"{names[pair[0]]} and {names[pair[1]]}"),
        f" ({_percent(matrix[pair])}). Most on its own: ",
        html.Strong(names[loner]),
        f" ({_percent(means[loner])}). All classes together use ",
        f"{_percent(class_paths.overall().density())} of the network, ",
        f"from {int(class_paths.counts.sum()):,} training images.",
    ]


def _closest_pair(matrix: np.ndarray) -> tuple[int, int]:
    """The two classes of the largest similarity in a (K, K) matrix."""
    below = np.tril(np.ones_like(matrix, dtype=bool), -1)
    second, first = np.unravel_index(np.nanargmax(np.where(below, matrix, -1.0)), matrix.shape)
    return int(first), int(second)


def _shown_pair(class_paths: ClassPaths, selection: Selection) -> tuple[int, int]:
    """The chosen pair, and until one is chosen the most similar one."""
    return selection.pair or _closest_pair(class_paths.similarity())


def _percent(share: float) -> str:
    return f"{100 * float(share):.1f}\u00a0%"


def _pair_numbers(class_paths: ClassPaths, pair: tuple[int, int]) -> list[html.Div]:
    first, second = (class_paths.paths[index] for index in pair)
    names = [class_paths.class_names[index] for index in pair]
    shared = _shared_count(first, second)
    rows = (
        ("classes", f"{names[0]} and {names[1]}"),
        ("shared synapses", f"{shared:,}"),
        (f"only {names[0]}", f"{_count(first) - shared:,}"),
        (f"only {names[1]}", f"{_count(second) - shared:,}"),
        ("similarity", f"{first.jaccard(second):.3f}"),
    )
    return [html.Div([html.Dt(name), html.Dd(value)]) for name, value in rows]


def _count(path: Path) -> int:
    return sum(len(synapses) for synapses in path.synapses.values())


def _shared_count(first: Path, second: Path) -> int:
    pairs = ((first.synapses[layer], second.synapses[layer]) for layer in first.layers)
    return sum(len(np.intersect1d(one, other, assume_unique=True)) for one, other in pairs)


def _pair_examples(services: Services, selection: Selection, pair: tuple[int, int]) -> list[html.Div]:
    """The first test images of both classes, each a link to Inspect."""
    dataset = services.choices.get(selection.model).dataset
    rows = []
    for index in dict.fromkeys(pair):
        chosen = np.flatnonzero(dataset.test.labels == index)[:EXAMPLES]
        links = [
            dcc.Link(
                html.Img(src=picture_url(pixels), alt=f"Test image {number}, {dataset.classes[index]}"),
                href="/?"
                + urlencode({"model": selection.model, "theta": f"{selection.theta:g}", "image": f"test:{number}"}),
                title=f"Inspect test image {number}",
            )
            for number, pixels in zip(chosen.tolist(), dataset.test.images(chosen).numpy(), strict=True)
        ]
        rows.append(
            html.Div(
                [
                    html.Div(f"Test images of {dataset.classes[index]}", className="small"),
                    html.Div(links, className="examples"),
                ]
            )
        )
    return rows
