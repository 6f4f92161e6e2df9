"""The table of a comparison: the clean images and every attack, with intervals, verdicts and warnings."""

from __future__ import annotations

from collections.abc import Sequence

from dash import html

from dashboard.components.icons import icon
from dashboard.pages.harden.view import Row, View
from dashboard.pages.harden.words import percent
from dashboard.pages.unit_pages import table

# The verdict that has no difference to tell.
SAME = "no difference shown"


def robustness_table(view: View) -> list[object]:
    """Every attack with what it leaves of each model, and what puts the numbers in doubt."""
    heads = ["Attack", *view.labels]
    rows = [[_attack(label, found), *_cells(view, label, found)] for label, found in view.rows]
    return [table(heads, rows), *_warnings(view), *_left_out(view)]


def _attack(label: str, rows: Sequence[Row]) -> list[object]:
    """What an attack is called; fewer images than the others are said."""
    most = rows[0]["images"]
    kind = "" if rows[0]["family"] in ("clean", "white-box") else f" · {rows[0]['family']}"
    return [label, html.Span(f"{kind} · {most:,} images", className="text-body-secondary small fw-normal")]


def _cells(view: View, label: str, rows: Sequence[Row]) -> list[object]:
    best = max(row["accuracy"] for row in rows)
    return [_cell(view, place, label, row, is_best=row["accuracy"] == best) for place, row in enumerate(rows)]


def _cell(view: View, place: int, label: str, row: Row, *, is_best: bool) -> html.Div:
    """The accuracy with its interval; the best is bold; the verdict is that against the first model."""
    shown = percent(row["accuracy"])
    number = html.Strong(shown) if is_best and len(view.labels) > 1 else shown
    interval = f" {100 * row['low']:.0f}–{100 * row['high']:.0f}"
    parts: list[object] = [number, html.Span(interval, className="small text-body-secondary")]
    if row["warnings"]:
        text = " ".join(row["warnings"])
        parts.append(
            html.Span(
                [icon("bi-exclamation-triangle-fill"), html.Span("in doubt, see below", className="visually-hidden")],
                className="text-warning-emphasis ms-1",
                title=text,
            )
        )
    verdict = view.verdict(place, label)
    if verdict is not None:
        word = verdict["outcome"]
        points = f" ({100 * verdict['difference']:+.1f} points)".replace("-", "−")
        shown = f"{word}{'' if word == SAME else points}"
        parts.append(html.Div(shown, className=f"small verdict-of is-{word.partition(' ')[0]}"))
    return html.Div(parts)


def _warnings(view: View) -> list[object]:
    """Signs of gradient masking, or what was looked at without finding any."""
    found, unchecked = view.checks("warning"), view.checks("not checked")
    parts: list[object] = []
    if found:
        mark = html.Span(icon("bi-exclamation-triangle-fill", "me-1"), className="text-warning-emphasis")
        items = [html.Li(f"{label}: {check['sentence']}") for label, check in found]
        parts.append(html.Div([mark, "These numbers may look better than they are:", html.Ul(items, className="mb-1")]))
    elif view.checks("passed"):
        parts.append(html.P("No sign of gradient masking was found, as far as it was looked for.", className="mb-1"))
    if unchecked:
        names = ", ".join(dict.fromkeys(f"{check['label']} ({check['sentence']})" for _, check in unchecked))
        parts.append(html.P(f"Could not be told: {names}", className="mb-1 text-body-secondary"))
    return [html.Div(parts, className="small")]


def _left_out(view: View) -> list[object]:
    left_out = view.report["left_out"]
    if not left_out:
        return []
    items = [html.Li(sentence) for sentence in left_out]
    return [html.Div(["Left out:", html.Ul(items, className="mb-0")], className="small text-body-secondary")]
