"""The layout of the Inspect page for the values in the URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import dcc, html

from dashboard.components.controls import shown_value, slider
from dashboard.components.figure_card import figure_card
from dashboard.components.icons import icon
from dashboard.components.retry import retry_clock
from dashboard.pages.citations import QIU
from dashboard.pages.inspect import cards, ids
from dashboard.pages.inspect.controls import ATTACK, detector_choice, picker, sentence, shown_detector
from dashboard.pages.inspect.unit_card import unit_card, unit_hover, unit_text
from dashboard.pages.shell import Shell
from dashboard.selection import EDGES, UNITS, Parsed
from dashboard.services import Services
from dashboard.services.uploads import MAX_SIDE

# Fields whose controls are on this page, besides those of the attack.
CONTROLLED = ("image", "rank", "theta", "pin", "edges", "units")

HELP = [
    (
        "What this page shows",
        "How one image changes inside the network when it is attacked: the images, the answers, and the paths.",
    ),
    (
        "Effective path",
        "From a logit backwards, the fewest synapses that explain the share θ of every active neuron's value. "
        "With c_k = sign(z)·w_k·x_k "
        "and s = Σ c_k, the largest c_k are taken until their sum reaches θ·s; if s ≤ 0, only the largest is.",
    ),
    ("Class path", "The union of the effective paths of all correctly classified training images of a class."),
    (
        "Similarity",
        "Per layer, |S ∩ S̃| / |S|: the share of the image's synapses that lie on the class path of its most "
        "likely (rank 1) or second "
        "most likely class (rank 2).",
    ),
    (
        "When an attack counts",
        "Only on an image that the model classifies correctly; it succeeds when the prediction differs from the "
        "label, or equals the "
        "target. Survives rounding: it still succeeds after saving with 8 bits a channel.",
    ),
    (
        "An image of your own",
        "Of an animation the first frame is taken; 16 bits a channel become 8 by keeping the high byte; transparency "
        f"is laid on white; the EXIF orientation is applied; sides over {MAX_SIDE:,} pixels are reduced. Then the "
        "largest middle part with the model's proportions is cut out and resized, and colour becomes gray where the "
        "model takes gray. Below the strip stands what was done to your image.",
    ),
    ("Paper", QIU),
]
SHELL = Shell(
    "inspect",
    "Inspect",
    HELP,
    marked={"image": ids.NUMBER, "epsilon": ids.EPSILON, "theta": ids.THETA, "seed": ids.SEED},
    waiting=cards.CLASS_DEPENDENT,
)


def build(services: Services, query: Mapping[str, object]) -> html.Div:
    """The page for the given fields of the URL; a field that is wrong shows its error and no value."""
    parsed = services.parse_fields(query)
    return html.Div(
        [
            *SHELL.stores(query, _facts(services, parsed)),
            dcc.Store(id=ids.IMAGE, data=parsed.values.get("image", "")),
            dcc.Store(id=ids.PIN, data=parsed.values.get("pin")),
            dcc.Store(id=ids.UNIT, data=unit_text(parsed)),
            *ATTACK.stores(),
            dcc.Store(id=ids.DETECTOR_SENT),
            dcc.Store(id=ids.UPLOADED),
            dcc.Download(id=ids.SAVE_FILE),
            *[retry_clock(part) for part in (ids.STRIP, ids.VERDICT, ids.PIN_NOTE, ids.JUDGED, ids.UNIT_BODY)],
            *SHELL.head(services, parsed, query),
            html.Div([sentence(services, parsed), picker(), ATTACK.settings(services, parsed)], className="panel"),
            _verdict_panel(services, parsed),
            _cards(parsed),
        ]
    )


def _facts(services: Services, parsed: Parsed) -> dict[str, Any]:
    """What the browser's part of the controls needs to know."""
    model = parsed.values.get("model")
    own = {name: shown_value(parsed.values.get(name)) for name in CONTROLLED}
    return {
        **ATTACK.facts(services, parsed),
        "model": model,
        "datasets": services.choices.datasets(),
        "images": services.choices.image_count(model) if model else 1,
        "detector": shown_detector(parsed),
        "wrong": list(parsed.errors),
        "rendered": own | {"unit": unit_text(parsed) or ""} | ATTACK.rendered(services, parsed),
    }


def _verdict_panel(services: Services, parsed: Parsed) -> html.Section:
    return html.Section(
        [
            html.H2("Verdict", className="visually-hidden"),
            html.Div(id=ids.VERDICT, className="verdict", **{"aria-live": "polite"}),
            html.Dl(id=ids.NUMBERS, className="numbers"),
            html.Div(
                [detector_choice(services, parsed), html.Div(id=ids.JUDGED, **{"aria-live": "polite"})],
                className="judged",
            ),
            html.Div(
                [
                    html.Button(
                        [icon("bi-download"), " Adversarial as PNG"],
                        id=ids.SAVE_PNG,
                        n_clicks=0,
                        type="button",
                        className="btn btn-sm btn-outline-primary",
                    ),
                    html.Button(
                        [icon("bi-download"), " as NPY"],
                        id=ids.SAVE_NPY,
                        n_clicks=0,
                        type="button",
                        className="btn btn-sm btn-outline-primary",
                    ),
                    html.Span(id=ids.SAVE_NOTE, className="small"),
                    html.Button(
                        [icon("bi-pin-angle"), " Pin as reference"],
                        id=ids.PIN_SET,
                        n_clicks=0,
                        type="button",
                        className="btn btn-sm btn-outline-secondary ms-md-auto",
                    ),
                    html.Button(
                        [icon("bi-x-lg"), " Unpin"],
                        id=ids.PIN_CLEAR,
                        n_clicks=0,
                        type="button",
                        className="btn btn-sm btn-outline-secondary",
                        hidden=True,
                    ),
                    html.Span(id=ids.PIN_NOTE, className="small text-reference", role="status"),
                ],
                className="d-flex flex-wrap gap-2 align-items-center mt-3",
            ),
        ],
        className="panel mt-3",
    )


def _cards(parsed: Parsed) -> html.Div:
    edges, units = parsed.values.get("edges", EDGES.default), parsed.values.get("units", UNITS.default)
    controls = html.Div(
        [
            slider(ids.EDGES, "Edges", edges, EDGES.low, EDGES.high, 10),
            slider(ids.UNITS, "Units per layer", units, UNITS.low, UNITS.high, 1),
        ],
        className="card-controls",
    )
    hint = html.Div("Point at a dot for its activation maps; click it to pin the unit.", className="small")
    note = html.Div([hint, html.Div(id=ids.GRAPH_NOTE, className="small text-body-secondary")])
    return html.Div(
        [
            figure_card(cards.ORIGINAL, span="span-3"),
            figure_card(
                cards.PERTURBATION, span="span-3", footer=html.Div(id=ids.FACTOR, className="small text-body-secondary")
            ),
            figure_card(cards.ADVERSARIAL, span="span-3"),
            figure_card(cards.PROBABILITIES, span="span-3"),
            figure_card(cards.GRAPH, controls=controls, footer=note, over=unit_hover(), span="span-12"),
            unit_card("unit" in parsed.values),
            *_layer_cards("detector" in parsed.values),
        ],
        className="cards",
    )


def _layer_cards(judged: bool) -> list[html.Section]:
    """Where the evidence is, and what is shown layer by layer; with a detector there is one card more."""
    evidence = [figure_card(card, span="span-3") for card in (cards.EVIDENCE_CLEAN, cards.EVIDENCE_ADVERSARIAL)]
    if not judged:
        return [*evidence, *[figure_card(one, span="span-6") for one in (cards.DENSITY, cards.RANK_1, cards.RANK_2)]]
    detector = figure_card(cards.DETECTOR, span="span-6 wide")
    density = figure_card(cards.DENSITY, span="span-4 wide")
    return [*evidence, detector, *[figure_card(one, span="span-4") for one in (cards.RANK_1, cards.RANK_2)], density]
