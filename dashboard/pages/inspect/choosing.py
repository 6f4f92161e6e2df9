"""Callbacks that tie the controls of the Inspect page to the URL."""

from __future__ import annotations

from dash import ALL, Dash, Input, Output, State, html, no_update

from dashboard.components.controls import register_slider
from dashboard.components.pictures import picture_url
from dashboard.components.retry import ASK_AGAIN, DONE, retry_input, retry_output
from dashboard.pages.attack_form import target_options
from dashboard.pages.inspect import ids, uploading
from dashboard.pages.inspect.controls import ATTACK
from dashboard.pages.inspect.layout import SHELL
from dashboard.pages.shell import tie
from dashboard.pages.wording import with_article
from dashboard.selection import Selection, SelectionError
from dashboard.services import Services
from dashboard.services.computations import Pending
from engine.errors import EngineError

STRIP_LENGTH = 16
_THUMBS = {"type": ids.THUMB, "index": ALL}


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""
    SHELL.register(app, services)
    uploading.register(app, services)
    _register_image(app, services)
    _register_selection(app)
    _register_single_controls(app)


def _register_image(app: Dash, services: Services) -> None:
    """What is told of the image itself needs no attack, so it does not wait for one."""

    @app.callback(
        Output(ids.STRIP, "children"),
        Output(ids.WHICH, "children"),
        Output(ids.LABEL_TEXT, "children"),
        Output(ids.SEEN, "children"),
        Output(ids.TARGET, "options"),
        retry_output(ids.STRIP),
        Input(ids.SELECTION, "data"),
        retry_input(ids.STRIP),
        State(_THUMBS, "id"),
    )
    def show_image(search: str, _again: int | None, thumbs: list[dict[str, object]]) -> tuple[object, ...]:
        try:
            selection = services.select(search)
        except SelectionError:
            return no_update, no_update, None, None, no_update, DONE
        strip = _strip(services, selection, [thumb["index"] for thumb in thumbs])
        try:
            subject = services.inspections.subject(selection.model, selection.image)
        except Pending:
            return strip, no_update, None, None, no_update, ASK_AGAIN
        except EngineError:  # the verdict says why
            return strip, no_update, None, None, no_update, DONE
        names = services.choices.get(selection.model).classifier.classes
        if subject.label is None:
            options = target_options(names, int(subject.ranking[0]), selection.target)
            return strip, "your image", None, uploading.account(services, selection.image, subject), options, DONE
        label = f", {with_article(names[subject.label])},"
        return strip, "test image", label, None, target_options(names, subject.label, selection.target), DONE


def _register_selection(app: Dash) -> None:
    values = (ids.IMAGE, "data"), (ids.EPSILON, "value"), (ids.SEED, "value"), (ids.RANK, "value"), (ids.THETA, "value")
    values += (ids.TARGET, "value"), (ids.PIN, "data"), (ids.EDGES, "value"), (ids.UNITS, "value")
    values += ((ids.UNIT, "data"),)
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
    tie(app, "detector", Output(ids.DETECTOR_SENT, "data"), Input(ids.DETECTOR, "value"), *SHELL.known())
    ATTACK.register(app, SHELL)


def _register_single_controls(app: Dash) -> None:
    tie(
        app,
        "image",
        Output(ids.IMAGE, "data"),
        Output(ids.NUMBER, "value"),
        Input(ids.NUMBER, "value"),
        Input(ids.RANDOM, "n_clicks"),
        Input(ids.UPLOADED, "data"),
        Input(_THUMBS, "n_clicks"),
        Input(ids.PREVIOUS, "n_clicks"),
        Input(ids.NEXT, "n_clicks"),
        State(ids.IMAGE, "data"),
        State(ids.FACTS, "data"),
    )
    # Also when the strip itself has come: it may have been made for an image that is no longer the chosen one.
    strip = Input(ids.STRIP, "children")
    tie(app, "pressed", Output(_THUMBS, "aria-pressed"), Input(ids.IMAGE, "data"), strip, State(_THUMBS, "id"))
    tie(
        app,
        "pin",
        Output(ids.PIN, "data"),
        Input(ids.PIN_SET, "n_clicks"),
        Input(ids.PIN_CLEAR, "n_clicks"),
        State(ids.IMAGE, "data"),
    )
    for name in (ids.EDGES, ids.UNITS):
        register_slider(app, name)


def _strip(services: Services, selection: Selection, shown: list[object]) -> object:
    """Buttons with the test images around the chosen one; those that are there already stay, and keep the focus."""
    dataset = services.choices.get(selection.model).dataset
    image = selection.image
    chosen = int(image.removeprefix("test:")) if image.startswith("test:") else 0
    first = chosen // STRIP_LENGTH * STRIP_LENGTH
    indices = list(range(first, min(first + STRIP_LENGTH, len(dataset.test))))
    if indices == shown:
        return no_update
    pixels = dataset.test.images(indices).numpy()
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
