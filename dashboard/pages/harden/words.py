"""What came of a hardening and of a comparison, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from dash import html

from dashboard.components.job_parts import duration
from dashboard.pages.harden import ways
from dashboard.pages.harden.view import View
from dashboard.services import Services
from dashboard.services.jobs.job import Job
from engine.hardening.estimate import Estimate

OUTCOMES = ("better", "worse", "no difference shown")


def estimate_words(found: Estimate) -> str:
    """How long a hardening will take."""
    return f"About {duration(found.total)} on this machine, measured on a few batches. A busy machine takes longer."


def run_title(job: Job) -> str:
    """A finished hardening, for a list."""
    epochs = int(job.settings.get("epochs", 0))
    accuracy = (job.summary or {}).get("test accuracy")
    of_images = f", {percent(accuracy)} of the test images right" if isinstance(accuracy, float) else ""
    return f"{ways.label(str(job.settings.get('way')))}, {epochs} epoch{'' if epochs == 1 else 's'}{of_images}"


def comparison_title(services: Services, job: Job) -> str:
    """A finished comparison, for a list."""
    labels = services.choices.labels()
    names = [labels.get(name, name) for name in str(job.settings.get("others", "")).split(",") if name]
    return f"With {', '.join(names) or 'no other'}, {job.settings.get('judged')} images"


def trained_words(report: Mapping[str, Any], before: float | None) -> list[object]:
    """What a hardening came to, in one sentence with numbers.

    Args:
        report: of the job.
        before: the parent's accuracy on the test images, if it is known.
    """
    curves, card = report["curves"], report["card"]
    took = duration(sum(one or 0.0 for one in curves["seconds"]))
    epochs = f"{curves['epochs']} epoch{'' if curves['epochs'] == 1 else 's'}"
    was = "" if before is None else f" (its parent: {percent(before)})"
    parts: list[object] = [
        html.Strong(report["label"]),
        f" was trained for {epochs} in {took} and gets ",
        html.Strong(percent(card["test_accuracy"])),
        f" of the test images right{was}.",
    ]
    clean, robust = curves["clean"][-1], curves["robust"][-1]
    if robust is not None:
        parts += [
            f" Of {curves['held_out']:,} held-out images {percent(clean)} are right, and ",
            html.Strong(percent(robust)),
            f" still are when PGD L∞ attacks them at ε = {curves['epsilon']:.3g}.",
        ]
    return parts


def summary(view: View) -> list[object]:
    """What differs between the first model and each of the others: accuracy, robustness, and for one alone inside."""
    others = range(1, len(view.labels))
    if len(others) == 1:
        lines = (("Accuracy", _accuracy), ("Robustness", _robustness), ("Inside", _inside))
        told = [(name, words(view, 1)) for name, words in lines]
        return [_heading(view), *[html.Div([html.Strong(f"{name}: "), *words]) for name, words in told if words]]
    items = [
        html.Li([html.Strong(view.labels[place]), ": ", *_accuracy(view, place), " ", *_robustness(view, place)])
        for place in others
    ]
    return [_heading(view), html.Ul(items)]


def _heading(view: View) -> html.Div:
    """Which models are compared, on how many images."""
    images = f"{view.report['images']:,} test images"
    if len(view.labels) == 2:
        return html.Div([html.Strong(view.labels[1]), f" instead of {view.labels[0]}, on {images}:"])
    return html.Div(f"Compared with {view.labels[0]}, on {images}:")


def _accuracy(view: View, place: int) -> list[object]:
    """The share of clean images right, before and after."""
    attack, rows = view.rows[0]
    verdict = view.verdict(place, attack)
    outcome = f" ({verdict['outcome']})" if verdict else ""
    return [
        html.Strong(percent(rows[place]["accuracy"])),
        f" right instead of {percent(rows[0]['accuracy'])}{outcome}.",
    ]


def _robustness(view: View, place: int) -> list[object]:
    """The shares right under PGD, before and after, and under how many attacks the model is better or worse."""
    parts: list[object] = []
    for label, rows in view.rows:
        if rows[0]["attack"] == "pgd_linf":
            now, was = percent(rows[place]["accuracy"]), percent(rows[0]["accuracy"])
            parts += [", " if parts else "", f"{label} leaves ", html.Strong(now), f" instead of {was}"]
    found = [view.verdict(place, label) for label, _ in view.rows[1:]]
    outcomes = [one["outcome"] for one in found if one]
    if parts:
        parts.append(". ")
    if outcomes:
        better, worse, same = (outcomes.count(name) for name in OUTCOMES)
        parts.append(
            f"Under {better} of {len(outcomes)} attacks and kinds of noise it is better, under {worse} worse; for "
            f"{same} no difference is shown."
        )
    return parts


def _inside(view: View, place: int) -> list[object]:
    """How sensitive the layers are, and what the class paths are like."""
    if view.report["effects"] is None:
        return [view.report["no_effects"]]
    before, after = (view.report["effects"]["models"][one] for one in (0, place))
    parts: list[object] = []
    was, now = _mean_sensitivity(before), _mean_sensitivity(after)
    if np.isfinite([was, now]).all():
        word = "less" if now < was else "more"
        parts.append(f"the attack moves its units {word}, by {short(now)} instead of {short(was)} on average. ")
    first, second = before["paths"], after["paths"]
    if first["similarity"] is not None and second["similarity"] is not None:
        parts.append(
            f"Its class paths use {percent(second['density'])} of the synapses instead of "
            f"{percent(first['density'])}, and two classes share {percent(second['similarity'])} of theirs instead of "
            f"{percent(first['similarity'])}."
        )
    return parts


def _mean_sensitivity(inside: Mapping[str, Any]) -> float:
    means = [entry["mean"] for entry in inside["sensitivity"] if entry["mean"] is not None]
    return float(np.mean(means)) if means else float("nan")


def similarity_words(view: View) -> list[object]:
    """Density and mean class similarity of each model."""
    if view.report["effects"] is None:
        return []
    return [
        html.Div(
            f"{inside['label']}: density {percent(inside['paths']['density'])}, mean class similarity "
            f"{short(inside['paths']['similarity'])}, from {inside['paths']['images']:,} training images"
        )
        for inside in view.insides
    ]


def units_words(view: View) -> str:
    """On how many pairs the units were looked at."""
    effects = view.report["effects"]
    if effects is None:
        return ""
    epsilon = effects["attack_settings"].get("epsilon")
    at = f" at ε = {epsilon:.3g}" if isinstance(epsilon, float) else ""
    return f"{effects['pairs']:,} test images that all models classify correctly, attacked by PGD L∞{at}."


def percent(share: float | None) -> str:
    """A share of images."""
    return "–" if share is None else f"{100 * share:.1f}\u00a0%"


def short(value: float | None) -> str:
    """A number to three digits."""
    return "–" if value is None else f"{value:.3g}"
