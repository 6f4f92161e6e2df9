"""The layout of the Detect page for the values in the URL."""

from __future__ import annotations

from collections.abc import Mapping

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard.components.controls import choice_field
from dashboard.components.figure_card import figure_card
from dashboard.components.icons import icon
from dashboard.pages.citations import NGUYEN, QIU
from dashboard.pages.detect import cards, ids
from dashboard.pages.detect.form import fit_button, list_options, rendered, sentence, study_form
from dashboard.pages.shell import Shell
from dashboard.selection import Parsed
from dashboard.services import Services

HELP = [
    (
        "What this page shows",
        "Whether a detector that looks at effective paths can tell attacked images from normal ones: which attacks, "
        "how surely, and by which layers.",
    ),
    (
        "Features",
        "Per layer, rank-1 then rank-2 image-class similarity: the share of the image's synapses that lie on the class "
        "path of its most likely, and of its second most likely class.",
    ),
    (
        "Joint similarity",
        "J̃ = Σ ωˡJˡ(rank 1) − Σ ωˡ'Jˡ(rank 2), all ω ≥ 0. An image is called adversarial when J̃ lies below a "
        "threshold; here its score is how far below.",
    ),
    (
        "How it is judged",
        "On normal test images and the successful attacked copies of images that the detector was not fitted on. AUC "
        "is the chance that an attacked image scores above a normal one.",
    ),
    (
        "The attack that knows",
        "Every detector also faces an attack that knows it: it misleads the classifier and at the same time pulls the "
        "activations of every layer towards those of a clean image of the class it leads to. A detector is worth what "
        "it does there.",
    ),
    (
        "Baselines",
        "CDRP fits trees on one gate per channel, found for each image by gradient descent. Latent attention calls an "
        "image adversarial when what its attention mask looks like is not what the classifier says.",
    ),
    ("Papers", f"{QIU} {NGUYEN}"),
]
SHELL = Shell("detect", "Detect", HELP, marked={"theta": ids.THETA})


def build(services: Services, query: Mapping[str, object]) -> html.Div:
    """The page for the given fields of the URL; a field that is wrong shows its error and no value."""
    parsed = services.parse_fields(query)
    has_study = "study" in parsed.values
    return html.Div(
        [
            *SHELL.stores(query, _facts(services, parsed)),
            dcc.Store(id=ids.SUBMITTED),
            dcc.Store(id=ids.OUTCOME),
            dcc.Store(id=ids.LOOK),
            dcc.Store(id=ids.FOLLOWED),
            dcc.Download(id=ids.REPORT_FILE),
            *SHELL.head(services, parsed, query),
            html.Div(
                [
                    sentence(services, parsed),
                    study_form(parsed, is_open=not has_study),
                    fit_button(),
                    html.Div(id=ids.EARLIER, className="small mt-2"),
                ],
                className="panel",
            ),
            html.Div(id=ids.STATUS, role="status"),
            html.Div([_summary(), _cards()], id=ids.RESULTS, hidden=True),
        ]
    )


def _facts(services: Services, parsed: Parsed) -> dict[str, object]:
    """What the browser's part of the controls needs to know."""
    return {
        "model": parsed.values.get("model"),
        "datasets": services.choices.datasets(),
        "rendered": rendered(parsed),
        "wrong": list(parsed.errors),
        "order": {name: list(options) for name, options in list_options().items()},
    }


def _summary() -> html.Section:
    def button(name: str, text: str) -> html.Button:
        return html.Button(
            [icon("bi-download", "me-1"), text],
            id=name,
            n_clicks=0,
            type="button",
            className="btn btn-sm btn-outline-primary",
        )

    return html.Section(
        [
            html.H2("Answer", className="visually-hidden"),
            html.Div(id=ids.SUMMARY, className="verdict", **{"aria-live": "polite"}),
            html.Div(
                [
                    html.Span(
                        [
                            "Look closely at ",
                            choice_field(ids.METHOD, "Method", {}, None),
                            " against ",
                            choice_field(ids.AGAINST, "Attack", {}, None),
                        ],
                        className="sentence",
                    ),
                    html.Span(
                        [button(ids.REPORT_HTML, "Report as HTML"), button(ids.REPORT_JSON, "as JSON")],
                        className="d-inline-flex gap-2 ms-md-auto",
                    ),
                ],
                className="d-flex flex-wrap gap-2 align-items-center mt-2",
            ),
        ],
        className="panel mt-3",
    )


def _cards() -> html.Div:
    threshold = html.Label(
        [
            "Threshold",
            dbc.Input(
                id=ids.THRESHOLD, type="range", min=0, max=1, step=0.01, value=0, debounce=80, class_name="form-range"
            ),
        ],
        className="threshold",
    )
    swept = html.Div(choice_field(ids.SWEPT, "What is varied", {}, None), className="card-controls")
    return html.Div(
        [
            figure_card(cards.MATRIX, span="span-6 wide"),
            figure_card(cards.ROC, span="span-6 wide"),
            figure_card(
                cards.SCORES,
                controls=html.Div(threshold, className="card-controls"),
                footer=html.Div(id=ids.CONFUSION),
                span="span-6 wide",
            ),
            _words_card(
                ids.MISSED,
                "What it gets wrong",
                "Each image opens on Inspect, under the same attack, with this detector's verdict.",
            ),
            figure_card(cards.COEFFICIENTS, span="span-6 wide"),
            figure_card(cards.SWEEP, controls=swept, span="span-6 wide"),
            _words_card(
                ids.ADAPTIVE,
                "Against one who knows the detector",
                "An attack that misleads the model and stays near the path: how often does it pass unnoticed?",
            ),
            _words_card(ids.ATTACKED, "The attacks themselves", "Only what succeeds is there to detect."),
        ],
        className="cards",
    )


def _words_card(name: str, title: str, look_for: str) -> html.Section:
    """A card without a figure."""
    heading = f"{name}-title"
    return html.Section(
        [
            html.H2(title, id=heading),
            html.P(look_for, className="look-for"),
            html.Div(id=name, className="table-responsive", tabIndex=0),
        ],
        className="figure-card span-6 wide",
        **{"aria-labelledby": heading},
    )
