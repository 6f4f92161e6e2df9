"""The controls of the Inspect page: the sentence, the images to pick from, and the detector."""

from __future__ import annotations

from urllib.parse import urlencode

from dash import dcc, html

from dashboard.components.controls import choice_field, number_field, shown_value
from dashboard.components.icons import icon, icon_button
from dashboard.pages.attack_form import AttackForm
from dashboard.pages.inspect import ids
from dashboard.selection import Parsed
from dashboard.services import Services
from dashboard.settings import MAX_UPLOAD_BYTES

# What the list of detectors holds for none; assets/detour/selection.js knows it too.
NO_DETECTOR = "none"
ATTACK = AttackForm("inspect")


def sentence(services: Services, parsed: Parsed) -> html.Div:
    """What is chosen, in one sentence; its blanks are the controls."""
    values, errors = parsed.values, parsed.errors
    image = str(values.get("image") or "")
    number = image.removeprefix("test:") if image.startswith("test:") else ""
    ranks = {"1": "most likely", "2": "second most likely"}
    return html.Div(
        [
            "How does ",
            choice_field(ids.MODEL, "Model", services.choices.labels(), values.get("model"), invalid="model" in errors),
            " come to call ",
            html.Span("test image", id=ids.WHICH),
            " ",
            html.Span(
                [
                    icon_button(ids.PREVIOUS, "bi-chevron-left", "Previous image", "small-button"),
                    number_field(ids.NUMBER, "Number of the test image", number, invalid="image" in errors, whole=True),
                    icon_button(ids.NEXT, "bi-chevron-right", "Next image", "small-button"),
                    icon_button(ids.RANDOM, "bi-shuffle", "Random image", "small-button"),
                ],
                className="blank",
            ),
            html.Span(id=ids.LABEL_TEXT),
            html.Span(id=ids.CALLED),
            " under ",
            ATTACK.choice(services, parsed),
            ATTACK.strength(services, parsed),
            "? Follow its ",
            choice_field(
                ids.RANK, "Class the path starts from", ranks, shown_value(values.get("rank")), invalid="rank" in errors
            ),
            " class with ",
            html.Span(
                ["θ = ", number_field(ids.THETA, "θ", values.get("theta"), invalid="theta" in errors, width="4.2rem")],
                className="blank",
            ),
            ".",
        ],
        className="sentence",
    )


def picker() -> html.Div:
    """The strip of test images, and the place to drop an image of one's own."""
    limit = MAX_UPLOAD_BYTES // 2**20
    upload = dcc.Upload(
        html.Div(
            [
                html.Div(
                    [
                        icon("bi-upload", "me-2"),
                        "Drop an image, or ",
                        # Not a button: the file input around it is the one stop of the Tab key.
                        html.Span("choose one", className="text-primary-emphasis text-decoration-underline"),
                    ]
                ),
                html.Div(f"PNG, JPEG or WebP; up to {limit} MB, 25 megapixels", className="small text-body-secondary"),
            ]
        ),
        id=ids.UPLOAD,
        className="upload",
        max_size=MAX_UPLOAD_BYTES,
        multiple=False,
        accept="image/png,image/jpeg,image/webp",
    )
    # assets/detour/notices.js refuses larger files before they are sent.
    place = html.Div(upload, className="upload-place", **{"data-max-bytes": str(MAX_UPLOAD_BYTES)})
    return html.Div(
        [
            html.Div(
                [html.Div(id=ids.STRIP, className="strip", role="group", **{"aria-label": "Test images"}), place],
                className="picker",
            ),
            html.Div(id=ids.UPLOAD_NOTE, role="status"),
            html.Div(id=ids.SEEN),
        ]
    )


def detector_choice(services: Services, parsed: Parsed) -> html.Div:
    """The list of detectors that were fitted for the model; without any, where to fit one."""
    saved = services.studies.saved(parsed.values["model"]) if "model" in parsed.values else []
    options = {NO_DETECTOR: "no detector", **{one.key: one.label for one in saved}}
    field = choice_field(ids.DETECTOR, "Detector", options, shown_detector(parsed), invalid="detector" in parsed.errors)
    fit_at = "/detect?" + urlencode({"model": parsed.values["model"]}) if "model" in parsed.values else "/detect"
    words = html.Span(["Detector: ", field], hidden=not saved, className="sentence")
    link = html.Span(
        ["No detector has been fitted for this model yet; ", dcc.Link("fit one", href=fit_at), "."],
        className="small",
        hidden=bool(saved),
    )
    return html.Div([words, link])


def shown_detector(parsed: Parsed) -> str:
    """What the list of detectors shows."""
    if "detector" in parsed.errors:
        return ""
    chosen = parsed.values.get("detector")
    return NO_DETECTOR if chosen is None else ":".join(chosen)
