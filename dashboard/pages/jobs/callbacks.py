"""The callbacks of the Jobs page. What its buttons ask for is done by the tray's."""

from __future__ import annotations

from collections.abc import Mapping

from dash import ClientsideFunction, Dash, Input, Output, State, no_update
from dash.exceptions import PreventUpdate

from dashboard.components.job_parts import fingerprint
from dashboard.components.job_tray import JOBS_TICK
from dashboard.pages.jobs import ids
from dashboard.pages.jobs.details import about, log_text
from dashboard.pages.jobs.layout import SHELL
from dashboard.pages.jobs.table import counts, job_table
from dashboard.selection import query_fields
from dashboard.services import Services


def register(app: Dash, services: Services) -> None:
    """Registers the callbacks."""
    SHELL.register(app, services)
    app.clientside_callback(ClientsideFunction("jobs", "follow"), Input(ids.LOG, "children"))

    @app.callback(
        Output(ids.COUNTS, "children"),
        Output(ids.TABLE, "children"),
        Output(ids.ABOUT, "children"),
        Output(ids.LOG, "children"),
        Output(ids.KNOWN, "data"),
        Input(JOBS_TICK, "data"),
        State(ids.SELECTION, "data"),
        State(ids.KNOWN, "data"),
        prevent_initial_call=True,
    )
    def follow(_tick: object, search: str, known: Mapping[str, str] | None) -> tuple[object, ...]:
        parts = live_parts(services, search)
        prints = {name: fingerprint(part) for name, part in parts.items()}
        if prints == known:
            raise PreventUpdate
        drawn = [no_update if prints[name] == (known or {}).get(name) else part for name, part in parts.items()]
        return *drawn, prints


def live_parts(services: Services, search: str) -> dict[str, object]:
    """What changes on the page while it is open: the counts, the table, the details of the chosen job and its log."""
    query = query_fields(search)
    jobs = services.jobs.jobs()
    chosen = query.get("job")
    job = next((one for one in jobs if one.id == chosen), None)
    return {
        "counts": counts(jobs),
        "table": job_table(jobs, services.jobs.kinds, query),
        "about": about(services, job) if job else "There is no such job any more." if chosen else None,
        "log": log_text(services, job),
    }
