"""Taking an image that a visitor brings, and the account of what was done to it."""

from __future__ import annotations

from dash import Dash, Input, Output, State, html, no_update
from PIL import Image

from dashboard.components.pictures import picture_url
from dashboard.pages.inspect import ids
from dashboard.services import Services
from dashboard.services.inspection import Subject
from dashboard.services.uploads import upload_bytes
from engine.errors import EngineError


def register(app: Dash, services: Services) -> None:
    """Registers the callback that takes a file."""

    @app.callback(
        Output(ids.UPLOADED, "data"),
        Output(ids.UPLOAD_NOTE, "children"),
        Input(ids.UPLOAD, "contents"),
        State(ids.UPLOAD, "filename"),
        prevent_initial_call=True,
    )
    def take_upload(contents: str | None, name: str | None) -> tuple[object, object]:
        if not contents:
            return no_update, no_update
        shown = str(name or "The file")[:80]
        try:
            return services.uploads.add(upload_bytes(contents)), None
        except EngineError as error:
            return no_update, html.Div(f"{shown}: {error}", className="text-danger-emphasis mt-1")


def account(services: Services, image: str, subject: Subject) -> html.Div:
    """What the model sees of an upload, and how it came about."""
    stored = services.uploads.load(image)
    steps = preparation(stored, subject.pixels.shape)
    done = ", ".join(steps) if steps else "nothing changed, it has the model's own size"
    return html.Div(
        [
            html.Img(src=picture_url(subject.pixels), alt="What the model sees", className="seen"),
            html.Span(
                f"Your image, {stored.width} × {stored.height}: {done}. "
                "It has no label; the attack leads away from the model's own answer."
            ),
        ],
        className="small text-body-secondary mt-1 d-flex gap-2 align-items-center",
    )


def preparation(stored: Image.Image, shape: tuple[int, ...]) -> list[str]:
    """The steps from a stored image to what a model sees of it.

    Args:
        stored: the upload as it is kept.
        shape: (C, H, W) of what the model sees.
    """
    channels, height, width = shape
    # As in engine.datasets.decode: the largest centred part with the model's aspect ratio.
    cut = (
        max(1, min(stored.width, round(stored.height * width / height))),
        max(1, min(stored.height, round(stored.width * height / width))),
    )
    steps = []
    if cut != stored.size:
        steps.append(f"the middle {cut[0]} × {cut[1]} cut out")
    if cut != (width, height):
        steps.append(f"resized to {width} × {height}")
    if len(stored.getbands()) != channels:
        steps.append("colour to gray" if channels == 1 else "gray to colour")
    return steps
