"""The hardening methods in words."""

from __future__ import annotations

import inspect

from dash import html

from engine.hardening.catalogue import hardening_methods

# What a newcomer reads; a method that is not here is told by the first sentence of its own description.
_WORDS = {
    "vanilla": "Plain training, without attacks: what the others are compared with.",
    "pat": "Training on images and attacked copies of them in equal parts (adversarial training with PGD).",
    "alp": "PAT that also draws the answers (logits) for an image and for its attacked copy together.",
    "sns": "Fine-tuning that also holds still the outputs of the units that an attack changes most.",
    "route_gradient": "Fine-tuning that also keeps the loss's gradients small at the units the attack travels along.",
    "route_weight": "Fine-tuning that also keeps the weights small between units the attack travels along.",
}


def labels() -> dict[str, str]:
    """What a person reads, by name."""
    return {entry.name: entry.label for entry in hardening_methods}


def label(way: str) -> str:
    """What a person reads of a method, also one that this version does not have."""
    return hardening_methods[way].label if way in hardening_methods else way


def in_words(way: str) -> str:
    """One line about a method."""
    found = inspect.getdoc(hardening_methods[way].factory) or ""
    return _WORDS.get(way) or found.partition("\n")[0]


def described(way: str) -> list[object]:
    """One line about a method, and its paper."""
    paper = hardening_methods[way].paper
    return [in_words(way), *([html.Cite(f" {paper}.", className="text-body-secondary")] if paper else [])]


def all_described(chosen: str | None) -> html.Details:
    """Every method with its line and its paper."""
    rows = [
        html.Div(
            [html.Dt(entry.label), html.Dd(described(entry.name))],
            className="is-chosen" if entry.name == chosen else "",
        )
        for entry in hardening_methods
    ]
    return html.Details(
        [html.Summary("What the methods do"), html.Dl(rows, className="ways mb-0")], className="more small mt-3"
    )
