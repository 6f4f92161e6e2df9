"""Two classes side by side: which two, what they share, and images of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from dash import dcc, html

from dashboard.components.figure_card import Nothing
from dashboard.components.pictures import picture_url
from dashboard.pages.normal import WITHOUT_PATH
from dashboard.selection import Selection
from dashboard.services import Services
from dashboard.services.class_paths import Normal
from engine.paths.path import n_common_in
from engine.paths.survey import ClassSurvey

EXAMPLES = 8
Pair = tuple[int, int]


def closest_pair(matrix: np.ndarray) -> Pair | None:
    """The two classes of the largest similarity in a (K, K) matrix; None where fewer than two classes have a path."""
    below = np.where(np.tril(np.ones_like(matrix, dtype=bool), -1), matrix, np.nan)
    if np.isnan(below).all():
        return None
    second, first = np.unravel_index(np.nanargmax(below), matrix.shape)
    return int(first), int(second)


def shown_pair(survey: ClassSurvey, selection: Selection) -> Pair | None:
    """The chosen pair, and until one is chosen the most similar one."""
    return selection.pair or closest_pair(survey.similarity)


def comparable_pair(survey: ClassSurvey, selection: Selection) -> Pair:
    """The pair to compare.

    Raises:
        Nothing: where there are no two paths to compare, with the reason.
    """
    pair = shown_pair(survey, selection)
    if pair is None:
        raise Nothing("Fewer than two classes have a class path, so there is no pair to compare.")
    if pair[0] == pair[1]:
        raise Nothing("Choose two different classes: a class shares all of its path with itself.")
    for index in pair:
        if not survey.counts[index]:
            raise Nothing(f"{survey.class_names[index]} has no class path to compare: {WITHOUT_PATH}.")
    return pair


def pair_numbers(normal: Normal, pair: Pair) -> list[html.Div]:
    """How many synapses the two class paths share, and how many only one of them has."""
    first, second = (normal.class_paths.paths[index].synapses for index in pair)
    names = [normal.survey.class_names[index] for index in pair]
    shared = sum(n_common_in(first, second, layer) for layer in normal.survey.layers)
    sizes = [int(normal.survey.synapses[index].sum()) for index in pair]
    either = sum(sizes) - shared
    rows = (
        ("classes", f"{names[0]} and {names[1]}"),
        ("shared synapses", f"{shared:,}"),
        (f"only {names[0]}", f"{sizes[0] - shared:,}"),
        (f"only {names[1]}", f"{sizes[1] - shared:,}"),
        ("similarity", f"{shared / either:.3f}" if either else "–"),
    )
    return [html.Div([html.Dt(name), html.Dd(value)]) for name, value in rows]


def pair_examples(services: Services, selection: Selection, pair: Pair) -> list[html.Div]:
    """The first test images of both classes, each a link that inspects it under the same attack."""
    dataset = services.choices.get(selection.model).dataset
    rows = []
    for index in dict.fromkeys(pair):
        chosen = np.flatnonzero(dataset.test.labels == index)[:EXAMPLES]
        links = [
            dcc.Link(
                html.Img(src=picture_url(pixels), alt=f"Test image {number}, {dataset.classes[index]}"),
                href="/" + _inspected(selection, number, index).to_query(),
                title=f"Inspect test image {number}",
            )
            for number, pixels in zip(chosen.tolist(), dataset.test.images(chosen).numpy(), strict=True)
        ]
        heading = html.Div(f"Test images of {dataset.classes[index]}", className="small")
        rows.append(html.Div([heading, html.Div(links, className="examples")]))
    return rows


def _inspected(selection: Selection, number: int, label: int) -> Selection:
    # An attack cannot aim at the class that the image has already.
    target = None if selection.target == label else selection.target
    return replace(selection, image=f"test:{number}", pin=None, target=target)
