"""The layout of the Harden page for the values in the URL."""

from __future__ import annotations

from collections.abc import Mapping

import dash_bootstrap_components as dbc
from dash import dcc, html

from dashboard.components.controls import setting_field
from dashboard.components.figure_card import Card, figure_card
from dashboard.components.icons import icon
from dashboard.components.retry import retry_clock
from dashboard.pages.harden import cards, ids
from dashboard.pages.harden.beside import Beside, beside
from dashboard.pages.harden.form import method_line, rendered, run_button, run_form, sentence
from dashboard.pages.harden.page import SHELL
from dashboard.pages.unit_pages import element_id, words_card
from dashboard.selection import Parsed
from dashboard.services import Services
from dashboard.studies.harden_form import JUDGED, MAX_BESIDE

_STORES = (ids.WAY_SENT, ids.FOLLOWED, ids.OUTCOME, ids.EPOCHS, ids.KEPT, ids.SHOWN, ids.LOOK, ids.COMPARISON_FOLLOWED,
           ids.COMPARISON_OUTCOME, ids.REMOVED, ids.REMOVING)  # fmt: skip


def build(services: Services, query: Mapping[str, object]) -> html.Div:
    """The page for the given fields of the URL; a field that is wrong shows its error and no value."""
    parsed = services.parse_fields(query)
    found = beside(services, parsed)
    panel = [sentence(services, parsed), method_line(parsed), run_form(services, parsed), run_button()]
    return html.Div(
        [
            *SHELL.stores(query, _facts(services, parsed, found)),
            *[dcc.Store(id=name) for name in _STORES],
            *[dcc.Store(id=ids.submitted(name)) for name in ("harden", "comparison")],
            dcc.Download(id=ids.REPORT_FILE),
            retry_clock(ids.ESTIMATE),
            *SHELL.head(services, parsed, query),
            html.Div(panel, className="panel"),
            html.Div(id=ids.STATUS, role="status"),
            html.Div(id=ids.KEPT_NOTE, role="status"),
            _answer(),
            _comparison(parsed, found),
            html.Div(_compared_cards(parsed), id=ids.RESULTS, hidden=True),
            html.Div(
                html.Div([_card(cards.ACCURACY), _card(cards.LOSS)], className="cards"), id=ids.CURVES, hidden=True
            ),
            _own(),
        ]
    )


def _facts(services: Services, parsed: Parsed, found: Beside) -> dict[str, object]:
    """What the browser's part of the controls needs to know."""
    texts = rendered(parsed) | {"beside": ",".join(found.ticked), "layer": parsed.values.get("layer") or ""}
    return {
        "model": parsed.values.get("model"),
        "datasets": services.choices.datasets(),
        "rendered": texts,
        "wrong": list(parsed.errors),
        "order": list(found.labels),
        "way": None if "way" in parsed.errors else parsed.values["harden_form"].way,
    }


def _answer() -> html.Section:
    return html.Section(
        [
            html.H2("Answer", className="visually-hidden"),
            html.Div(id=ids.TRAINED, className="mb-1", **{"aria-live": "polite"}),
            html.Div(id=ids.COMPARED, className="verdict compared", **{"aria-live": "polite"}),
        ],
        id=ids.ANSWER,
        className="panel mt-3",
        hidden=True,
    )


def _comparison(parsed: Parsed, found: Beside) -> html.Section:
    """The models to compare, and how far a comparison is."""
    button = html.Button(
        [icon("bi-bar-chart-line", "me-1"), "Compare"],
        id=ids.COMPARE,
        n_clicks=0,
        type="button",
        className="btn btn-primary",
    )
    report = html.Button(
        [icon("bi-download", "me-1"), "Report as JSON"],
        id=ids.REPORT_JSON,
        n_clicks=0,
        type="button",
        className="btn btn-sm btn-outline-primary ms-md-auto",
        hidden=True,
    )
    note = html.Span(id=ids.COMPARE_NOTE, className="small", role="status")
    details = html.Details(
        [
            html.Summary("Compare with other models"),
            _choice(parsed, found),
            html.Div([button, note], className="d-flex flex-wrap gap-3 align-items-center mt-2"),
            html.Div(id=ids.COMPARED_EARLIER, className="small mt-2"),
        ],
        id=ids.COMPARISON,
        className="more",
        open="comparison" not in parsed.values,
    )
    return html.Section(
        [
            html.Div([details, report], className="d-flex flex-wrap gap-2 align-items-start"),
            html.Div(id=ids.COMPARISON_STATUS, role="status"),
        ],
        id=ids.COMPARISON_PART,
        className="panel mt-3",
        hidden=not found.labels,
        **{"aria-label": "Comparison"},
    )


def _choice(parsed: Parsed, found: Beside) -> html.Div:
    errors, form = parsed.errors, parsed.values["harden_form"]
    text = f"Each is measured on the same images, against the model above. At most {MAX_BESIDE}."
    ticks = dbc.Checklist(
        id=ids.field("beside"),
        options=[{"value": name, "label": label} for name, label in found.labels.items()],
        value=found.ticked,
        class_name="ticks",
    )
    error = errors.get("beside")
    words = html.Div(error or text, className=f"small {'text-danger-emphasis' if error else 'text-body-secondary'}")
    legend = html.Legend("Models of the same data", className="form-label h6 mb-0")
    judged = setting_field(
        ids.field("judged"), JUDGED, None if "judged" in errors else form.judged, errors.get("judged")
    )
    return html.Div([html.Fieldset([legend, words, ticks]), judged], className="compare-form mt-2")


def _compared_cards(parsed: Parsed) -> html.Div:
    table = words_card(
        ids.TABLE,
        "Accuracy under every attack",
        "The share of images that stay right, with its 95 % interval; the best is bold. Does a model win everywhere?",
        "",
    )
    note = html.Div(id=ids.UNITS_NOTE, className="small text-body-secondary")
    similarity = html.Div(id=ids.SIMILARITY_NOTE, className="small text-body-secondary")
    units = figure_card(cards.UNITS, controls=_layer(parsed), footer=note, span="")
    columns = ([_card(cards.STRENGTH, ""), _card(cards.LAYERS, ""), units], [table])
    stacks = [html.Div(column, className="span-6 wide stacked") for column in columns]
    return html.Div([*stacks, figure_card(cards.DENSITY, footer=similarity, span="span-12")], className="cards")


def _layer(parsed: Parsed) -> html.Div:
    """The list of layers; its options come with the outcome, until then it holds what the URL says."""
    identity, value = ids.field("layer"), parsed.values.get("layer")
    options = [{"value": value, "label": value}] if value else []
    control = dbc.Select(id=identity, options=options, value=value)
    label = html.Label("Layer", htmlFor=element_id(identity), className="visually-hidden")
    return html.Div(html.Span([label, control], className="blank"), className="card-controls")


def _card(card: Card, span: str = "span-6 wide") -> html.Section:
    return figure_card(card, span=span)


def _own() -> html.Section:
    """The server's own models, and the question before one of them is removed."""
    answer = {"n_clicks": 0, "type": "button"}
    dialog = dbc.Modal(
        [
            dbc.ModalHeader(
                dbc.ModalTitle("Remove a model", tag="h2", class_name="h5 m-0", id=f"{ids.REMOVE_DIALOG}-title")
            ),
            dbc.ModalBody(html.Div(id=ids.REMOVE_WORDS)),
            dbc.ModalFooter(
                [
                    html.Button("Keep it", id=ids.REMOVE_NO, className="btn btn-outline-secondary", **answer),
                    html.Button("Remove it", id=ids.REMOVE_YES, className="btn btn-danger", **answer),
                ]
            ),
        ],
        id=ids.REMOVE_DIALOG,
        is_open=False,
        labelledby=f"{ids.REMOVE_DIALOG}-title",
    )
    return html.Section(
        [
            html.H2("Own models", id=f"{ids.OWN}-title"),
            html.P("What was hardened on this server.", className="look-for"),
            html.Div(id=ids.OWN, className="table-responsive", tabIndex=0),
            html.Div(id=ids.OWN_NOTE, className="small", role="status"),
            dialog,
        ],
        className="panel mt-3 own-models",
        **{"aria-labelledby": f"{ids.OWN}-title"},
    )
