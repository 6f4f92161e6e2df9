"""The images that are hardest and easiest to attack, each a link that shows its route."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dash import dcc, html

from dashboard.components.pictures import picture_url
from dashboard.pages.route.view import Report
from dashboard.selection import Selection
from dashboard.services import Services

SHOWN = 9


def ranked_images(services: Services, selection: Selection, report: Report) -> html.Div:
    """Two rows of images with links."""
    order = [int(report["indices"][row]) for row in report["hardness"]["order"]]
    shown = min(SHOWN, (len(order) + 1) // 2)
    return html.Div(
        [
            _row(services, selection, "Hardest to attack", order[:shown]),
            _row(services, selection, "Easiest to attack", order[::-1][:shown]),
            html.P("Each opens here; from here, Inspect shows it closely.", className="small text-body-secondary mb-0"),
        ],
        className="mt-2",
    )


def _row(services: Services, selection: Selection, title: str, images: Sequence[int]) -> html.Div:
    dataset = services.choices.get(selection.model).dataset
    pixels = dataset.test.images(list(images)).numpy() if images else ()
    links = [
        dcc.Link(
            html.Img(
                src=picture_url(one), alt=f"Test image {number}, {dataset.classes[int(dataset.test.labels[number])]}"
            ),
            href="/route" + replace(selection, image=f"test:{number}").to_query(),
            title=f"The route through test image {number}",
        )
        for number, one in zip(images, pixels, strict=True)
    ]
    return html.Div([html.Div(title, className="small mt-1"), html.Div(links, className="examples")])
