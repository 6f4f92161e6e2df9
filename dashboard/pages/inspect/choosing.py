"""Callbacks that tie the controls of the Inspect page to the URL."""

from __future__ import annotations

from dash import ALL, Dash, Input, Output, State, html, no_update

from dashboard.components.pictures import picture_url
from dashboard.pages.inspect import ids
from dashboard.pages.inspect.layout import SHELL
from dashboard.pages.shell import tie
from dashboard.selection import SelectionError
from dashboard.services import Services
from dashboard.services.inspection import Subject
from dashboard.services.uploads import upload_bytes
from engine.errors import EngineError

STRIP_LENGTH = 16


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""
    SHELL.register(app, services)
    _register_browser_side(app)

    @app.callback(
        Output(ids.STRIP, "children"),
        Output(ids.WHICH, "children"),
        Output(ids.LABEL_TEXT, "children"),
        Output(ids.SEEN, "children"),
        Input(ids.SELECTION, "data"),
    )
    def show_image(search: str) -> tuple[object, ...]:
        try:
            selection = services.select(search)
        except SelectionError:
            return no_update, no_update, None, None
        strip = _strip(services, selection.model, selection.image)
        which = "your image" if selection.image.startswith("upload:") else "test image"
        try:
            view = services.inspections.inspect(selection)
        except EngineError:
            return strip, which, None, None
        called = html.Strong(view.class_names[int(view.result.predictions_after[0])])
        if view.clean.label is None:
            return strip, which, [" a ", called], _preprocessing(services, selection.image, view.clean)
        return strip, which, [f", a {view.class_names[view.true_class]}, a ", called], None

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


def _register_browser_side(app: Dash) -> None:
    values = (ids.IMAGE, "data"), (ids.EPSILON, "value"), (ids.SEED, "value"), (ids.RANK, "value"), (ids.THETA, "value")
    values += (ids.TARGET, "value"), (ids.PIN, "data"), (ids.EDGES, "value"), (ids.UNITS, "value")
    setting = {"type": ids.SETTING, "name": ALL}
    tie(
        app,
        "inspect",
        Output(ids.SELECTION, "data"),
        *[Input(*value) for value in values],
        Input(setting, "value"),
        State(setting, "id"),
        *SHELL.known(),
    )
    tie(app, "attack", Output(ids.ATTACK_SENT, "data"), Input(ids.ATTACK, "value"), *SHELL.known())
    tie(
        app,
        "image",
        Output(ids.IMAGE, "data"),
        Output(ids.NUMBER, "value"),
        Input(ids.NUMBER, "value"),
        Input(ids.RANDOM, "n_clicks"),
        Input(ids.UPLOADED, "data"),
        Input({"type": ids.THUMB, "index": ALL}, "n_clicks"),
        Input(ids.PREVIOUS, "n_clicks"),
        Input(ids.NEXT, "n_clicks"),
        State(ids.IMAGE, "data"),
        State(ids.FACTS, "data"),
    )
    tie(
        app,
        "strength",
        Output(ids.EPSILON_SLIDER, "value"),
        Output(ids.EPSILON, "value"),
        Input(ids.EPSILON_SLIDER, "value"),
        Input(ids.EPSILON, "value"),
    )
    tie(
        app,
        "pin",
        Output(ids.PIN, "data"),
        Input(ids.PIN_SET, "n_clicks"),
        Input(ids.PIN_CLEAR, "n_clicks"),
        State(ids.IMAGE, "data"),
    )


def _strip(services: Services, model: str, image: str) -> list[html.Button]:
    """Buttons with the test images around the chosen one."""
    dataset = services.choices.get(model).dataset
    chosen = int(image.removeprefix("test:")) if image.startswith("test:") else 0
    first = chosen // STRIP_LENGTH * STRIP_LENGTH
    indices = range(first, min(first + STRIP_LENGTH, len(dataset.test)))
    pixels = dataset.test.images(list(indices)).numpy()
    return [
        html.Button(
            html.Img(
                src=picture_url(one), alt=f"Test image {index}, {dataset.classes[int(dataset.test.labels[index])]}"
            ),
            id={"type": ids.THUMB, "index": index},
            n_clicks=0,
            type="button",
            title=f"Test image {index}",
            **{"aria-pressed": str(image == f"test:{index}").lower()},
        )
        for index, one in zip(indices, pixels, strict=True)
    ]


def _preprocessing(services: Services, image: str, subject: Subject) -> html.Div:
    """What was done to an upload before the model sees it."""
    stored = services.uploads.load(image)
    channels, height, width = subject.pixels.shape
    steps = []
    if stored.size != (width, height):
        steps += ["centre cut out", f"resized to {width} × {height}"]
    if len(stored.getbands()) != channels:
        steps.append("colour to gray" if channels == 1 else "gray to colour")
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
