"""An outcome in words and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dash_bootstrap_components as dbc
from dash import html

from dashboard.pages.detect.view import NOTHING_TO_DETECT, View
from dashboard.studies.words import CONTRAST, CONTRAST_EXPLAINED, adaptive_line, method_label


def summary(view: View) -> list[object]:
    """How surely the method tells attacked images from normal ones, and how it fares against one who knows it."""
    rows = [row for row in view.report["table"] if row["method"] == view.method]
    if not rows:
        return [NOTHING_TO_DETECT]
    ranked = sorted(rows, key=lambda row: row["auc"])
    worst, best = ranked[0], ranked[-1]
    found = f"{100 * sum(row['tpr at 5 % fpr'] for row in rows) / len(rows):.0f} %"
    parts: list[object] = [html.Strong(method_label(view.method))]
    if len(rows) == 1:
        parts += [
            " tells images attacked by ",
            html.Strong(best["attack"]),
            f" from normal ones with AUC {best['auc']:.3f}",
        ]
    else:
        parts += [
            " finds ",
            html.Strong(best["attack"]),
            f" best (AUC {best['auc']:.3f}) and ",
            html.Strong(worst["attack"]),
            f" worst ({worst['auc']:.3f})",
        ]
    parts += [f"; where it flags 5 % of the normal images, it finds {found} of the attacked ones. "]
    return [*parts, adaptive_line(view.details["adaptive"], view.method)]


def adaptive_table(report: Mapping[str, Any]) -> html.Div:
    """By method, how often an attack that knows it gets past both the model and it; and what the features cost."""
    rows = [
        (method_label(row["method"]), f"{row['misled']} of {row['images']}", f"{row['missed']} of {row['images']}")
        for row in report["adaptive"]
    ]
    table = _table(("detector", "model misled", "and unnoticed"), rows)
    return html.Div([table, html.P(_cost(report), className="small text-body-secondary mb-0")], className="mt-2")


def _cost(report: Mapping[str, Any]) -> str:
    seconds, images = report["seconds"], report["images looked at"]
    words = f"The path features of {images:,} images took {seconds['path features']:.1f} s"
    return f"{words}; CDRP's gates of the same images {seconds['cdrp']:.1f} s." if "cdrp" in seconds else f"{words}."


def confusion(view: View) -> object:
    """How many of both kinds of image are flagged at the threshold."""
    if view.against is None:
        return None
    rows = []
    for name, scores, right in (("normal", view.normal, "passed"), ("attacked", view.attacked, "flagged")):
        flagged = int((scores > view.threshold).sum())
        counts = {"flagged": flagged, "passed": len(scores) - flagged}
        share = f"{100 * counts[right] / len(scores):.1f} % right" if len(scores) else ""
        rows.append((name, f"{counts['flagged']:,}", f"{counts['passed']:,}", share))
    return _table((f"threshold {view.threshold:.4g}", "flagged", "passed", ""), rows)


def attack_table(report: Mapping[str, Any]) -> html.Table:
    """Each attack's success, and the mean size of its successful changes."""
    rows = [
        (
            row["attack"],
            f"{row['successes']:,} of {row['scored']:,}",
            _number(row["linf"], ".3f"),
            _number(row["l2"], ".3f"),
            _number(row["l0"], ".0f"),
        )
        for row in report["attacks"]
    ]
    return _table(("attack", "successes", "mean L∞", "mean L2", "mean L0"), rows)


def contrast_table(report: Mapping[str, Any]) -> object:
    """Latent attention by its authors' measures; nothing where it was not measured."""
    measured = report.get("contrast")
    if not measured:
        return None
    rows = [
        (f"{row['attack']}, {row['images']}", f"{row['attacked']:,}", *[_number(row[name], ".1%") for name in CONTRAST])
        for row in measured
    ]
    note = html.P(CONTRAST_EXPLAINED, className="small text-body-secondary mb-0")
    return html.Div([_table(("latent attention", "attacked", *CONTRAST.values()), rows), note], className="mt-3")


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> html.Table:
    body = [html.Tr([html.Th(row[0], scope="row"), *[html.Td(cell) for cell in row[1:]]]) for row in rows]
    head = html.Thead(html.Tr([html.Th(text, scope="col") if text else html.Td() for text in heads]))
    return dbc.Table([head, html.Tbody(body)], size="sm", class_name="mb-1 figures-table")
