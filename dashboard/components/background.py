"""What a page shows of class paths that are computed in the background."""

from __future__ import annotations

from dataclasses import dataclass

from dash import no_update

from dashboard.components.figure_card import progress_note
from dashboard.services import Services


@dataclass(frozen=True, slots=True)
class BackgroundState:
    """What to show now.

    Attributes:
        token: changes when the figures that need class paths must be drawn, or say why they cannot be.
        finished: whether there is nothing left to ask for.
        note: the progress shown in the waiting cards.
    """

    token: object
    finished: bool
    note: object


def background_state(services: Services, search: str | None, known: str | None) -> BackgroundState:
    """Asks how far the class paths of a query string are; starts them if need be.

    Args:
        services: of the application.
        search: the query string.
        known: the token that the page has now.
    """
    values = services.parse(search).values
    if "model" not in values or "theta" not in values:
        return BackgroundState(no_update, True, None)
    work = services.normal_paths.ask(values["model"], values["theta"])
    key = f"{values['model']}|{values['theta']:g}"
    if work.error is not None:
        # Another token each time: the work may have been tried again meanwhile, and the cards wait for its end.
        return BackgroundState(f"{key}|failed at {work.asked:g}", True, None)
    if work.normal is None:
        return BackgroundState(no_update, False, progress_note(work.fraction, work.message))
    return BackgroundState(no_update if known == key else key, True, None)
