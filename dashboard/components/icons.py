"""Icons, which say nothing to a screen reader, and buttons that show one in place of their words."""

from __future__ import annotations

from dash import html


def icon(name: str, spacing: str = "") -> html.I:
    """A Bootstrap icon, such as ``bi-upload``; ``spacing`` are further classes."""
    return html.I(className=f"bi {name} {spacing}".strip(), **{"aria-hidden": "true"})


def icon_button(name: str, icon_name: str, text: str, class_name: str = "") -> html.Button:
    """A small button with an icon; its words are its tooltip, and what a screen reader says."""
    return html.Button(
        [icon(icon_name), html.Span(text, className="visually-hidden")],
        id=name,
        n_clicks=0,
        type="button",
        title=text,
        className=f"btn btn-sm btn-outline-secondary {class_name}".strip(),
    )
