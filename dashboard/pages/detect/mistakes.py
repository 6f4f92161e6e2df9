"""The images that a detector gets wrong at a threshold, each a link that inspects it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from dash import dcc, html

from dashboard.components.pictures import picture_url
from dashboard.pages.detect.view import View
from dashboard.selection import Selection
from dashboard.services import Services
from engine.detection.catalogue import detectors

SHOWN = 24
_RANDOM = "An attack with random choices may turn out otherwise for one image alone."


def mistakes(services: Services, selection: Selection, view: View) -> object:
    """Missed attacked images, the surest first, and falsely flagged normal ones."""
    if view.against is None:
        return None
    missed = _sources(view.attacked, view.details["attacked"][view.against]["sources"], view.threshold, below=True)
    flagged = _sources(view.normal, view.details["normal"]["sources"], view.threshold, below=False)
    attacked = _attacked(services, selection, view)
    return html.Div(
        [
            _group(services, attacked, f"Missed: attacked by {view.against}, yet passed", missed, "missed"),
            _group(services, attacked, "Falsely flagged: normal images", flagged, "flagged"),
            html.P(_RANDOM, className="small text-body-secondary mb-0 mt-2"),
        ]
    )


def _sources(scores: np.ndarray, sources: Sequence[int], threshold: float, *, below: bool) -> list[int]:
    """The test images on the wrong side of the threshold, those farthest from it first."""
    chosen = np.flatnonzero(scores <= threshold if below else scores > threshold)
    order = np.argsort(scores[chosen] if below else -scores[chosen], kind="stable")
    return [int(sources[place]) for place in chosen[order]]


def _attacked(services: Services, selection: Selection, view: View) -> Selection:
    """The selection that repeats the attack of the study, with the detector that is looked at."""
    assert view.against is not None
    plan = services.studies.plan(view.study, selection.model, view.against)
    settings = plan.settings
    parameters = {parameter.name: parameter for parameter in services.choices.attacks[plan.attack].parameters}
    epsilon = settings.get("epsilon", parameters["epsilon"].default) if "epsilon" in parameters else None
    return replace(
        selection,
        attack=plan.attack,
        epsilon=epsilon,
        seed=int(view.report["settings"]["seed"]),
        settings=tuple(sorted((name, value) for name, value in settings.items() if name != "epsilon")),
        target=None,
        pin=None,
        method=view.method,
        detector=(view.study, view.method) if view.method in detectors else None,
    )


def _group(services: Services, selection: Selection, title: str, images: list[int], kind: str) -> html.Div:
    dataset = services.choices.get(selection.model).dataset
    shown = images[:SHOWN]
    pixels = dataset.test.images(shown).numpy() if shown else ()
    names = [dataset.classes[int(dataset.test.labels[number])] for number in shown]
    links = [
        dcc.Link(
            html.Img(src=picture_url(one), alt=f"Test image {number}, {name}"),
            href="/" + replace(selection, image=f"test:{number}").to_query(),
            title=f"Inspect test image {number}",
            className=f"mistake is-{kind}",
        )
        for number, name, one in zip(shown, names, pixels, strict=True)
    ]
    more = f", the {SHOWN} clearest shown" if len(images) > SHOWN else ""
    heading = html.Div(f"{title} ({len(images):,}{more})", className="small mt-1")
    return html.Div([heading, html.Div(links or "none", className="examples")])
