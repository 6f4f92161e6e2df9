"""The layout of the Classes page for the values in the URL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dash import dcc, html

from dashboard.components.controls import choice_field, number_field, shown_value
from dashboard.components.figure_card import figure_card
from dashboard.pages.citations import QIU
from dashboard.pages.classes import cards, ids, training
from dashboard.pages.shell import Shell
from dashboard.selection import Parsed
from dashboard.services import Services

HELP = [
    (
        "What this page shows",
        "Which classes share a path through the network, and how much of the network the classes need.",
    ),
    ("Class path", "The union of the effective paths of all correctly classified training images of a class."),
    (
        "Similarity",
        "J(a, b) = |Sa ∩ Sb| / |Sa ∪ Sb|: synapses that both class paths have, divided by those that at least one has.",
    ),
    ("Density", "Σ|Sˡ| / Σ(all synapses of layer l): the share of the network that a path uses."),
    (
        "Over training",
        "A model that was hardened here keeps its weights after every epoch. The class paths of each show when classes "
        "go separate ways.",
    ),
    ("Paper", QIU),
]
SHELL = Shell("classes", "Classes", HELP, marked={"theta": ids.THETA, "phased": ids.PHASED}, waiting=cards.ALL)


def build(services: Services, query: Mapping[str, object]) -> html.Div:
    """The page for the given fields of the URL; a field that is wrong shows its error and no value."""
    parsed = services.parse_fields(query)
    note = html.Div(id=ids.MATRIX_NOTE, className="small")
    return html.Div(
        [
            *SHELL.stores(query, _facts(services, parsed)),
            dcc.Store(id=ids.SHOWN_PAIR),
            *training.stores(),
            *SHELL.head(services, parsed, query),
            html.Div([_sentence(services, parsed), html.P(id=ids.SUMMARY, className="m-0")], className="panel"),
            html.Div(
                [
                    figure_card(cards.MATRIX, footer=note, span="span-6 wide"),
                    _pair(services, parsed),
                    figure_card(cards.DENSITY),
                    figure_card(cards.GROWTH),
                    training.card(parsed),
                ],
                className="cards",
            ),
        ]
    )


def _facts(services: Services, parsed: Parsed) -> dict[str, object]:
    """What the browser's part of the controls needs to know."""
    pair = parsed.values.get("pair")
    rendered = {
        "theta": shown_value(parsed.values.get("theta")),
        "pair": "-".join(map(str, pair)) if pair else "",
        "phased": shown_value(training.asked_images(parsed)),
    }
    facts = {"model": parsed.values.get("model"), "datasets": services.choices.datasets()}
    return facts | {"rendered": rendered, "wrong": list(parsed.errors)}


def _sentence(services: Services, parsed: Parsed) -> html.Div:
    values, errors = parsed.values, parsed.errors
    theta = number_field(ids.THETA, "θ", values.get("theta"), invalid="theta" in errors, width="4.2rem")
    return html.Div(
        [
            "Which classes share a path in ",
            choice_field(ids.MODEL, "Model", services.choices.labels(), values.get("model"), invalid="model" in errors),
            " at ",
            html.Span(["θ = ", theta], className="blank"),
            "?",
        ],
        className="sentence",
    )


def _pair(services: Services, parsed: Parsed) -> html.Div:
    """The comparison of two classes; they can be chosen by name as well as in the matrix."""
    names = services.choices.get(parsed.values["model"]).classifier.classes if "model" in parsed.values else ()
    controls = html.Div(
        [
            html.Div(pair_choice(names, parsed.values.get("pair")), id=ids.PAIR_CHOICE, className="pair-choice"),
            html.Span(id=ids.PAIR_NOTE, className="text-danger-emphasis", role="status"),
        ],
        className="card-controls align-items-center",
    )
    footer = html.Div(
        [html.Dl(id=ids.PAIR_NUMBERS, className="numbers"), html.Div(id=ids.PAIR_EXAMPLES, className="mt-2")]
    )
    return figure_card(cards.PAIR, controls=controls, footer=footer, span="span-6 wide")


def pair_choice(names: Sequence[str], pair: tuple[int, int] | None) -> list[object]:
    """The two lists of classes."""
    options = {str(index): name for index, name in enumerate(names)}
    first, second = (None, None) if pair is None else map(str, pair)
    return [
        choice_field(ids.FIRST, "First class", options, first),
        "and",
        choice_field(ids.SECOND, "Second class", options, second),
    ]
