"""What the page says of one image: its answers, and what becomes of them when units are changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from dash import html

from dashboard.components.pictures import picture_url
from dashboard.pages.wording import with_article
from dashboard.selection import Selection
from dashboard.services.inspection import Inspection, Subject
from dashboard.services.interventions import Changed, PathChange, Units, kept_factor
from engine.paths.class_paths import ClassPaths

NAMED_LAYERS = 3
_CHANGE_FULL = 0.5


def pictures(view: Inspection) -> list[html.Figure]:
    """The image, its change and its attacked copy, each with what the model says of it."""
    delta = view.adversarial.pixels - view.clean.pixels
    largest = float(np.abs(delta).max())
    factor = _CHANGE_FULL / largest if largest else 1.0
    names = view.class_names
    return [
        _picture(view.clean.pixels, "clean", _answer(view.clean, names), "text-clean"),
        _picture(0.5 + factor * delta, f"change × {factor:.3g}", f"at most {view.result.linf[0]:.3g}"),
        _picture(view.adversarial.pixels, "attacked", _answer(view.adversarial, names), "text-adversarial"),
    ]


def _picture(pixels: np.ndarray, title: str, below: str, color: str = "") -> html.Figure:
    caption = html.Figcaption([html.Span(title, className=color), html.Br(), below])
    return html.Figure([html.Img(src=picture_url(pixels), alt=f"{title}: {below}"), caption])


def _answer(subject: Subject, names: Sequence[str]) -> str:
    best = int(subject.ranking[0])
    return f"{names[best]} ({subject.probabilities[best]:.2f})"


def attacked(view: Inspection) -> list[object]:
    """What the model calls the image and its attacked copy."""
    names, true = view.class_names, view.true_class
    before, after = int(view.clean.ranking[0]), int(view.adversarial.ranking[0])
    shown = view.clean.name[0].upper() + view.clean.name[1:]
    parts: list[object] = [shown]
    if before != true:
        return [
            *parts, ", ", with_article(names[true]), ", is taken for ",
            *_called(names, before, "text-adversarial"), " without any attack; choose one that the model gets right.",
        ]  # fmt: skip
    is_own = view.clean.label is None
    parts += [" is called " if is_own else ", ", *_called(names, true, "text-clean")]
    if after == true:
        return [
            *parts, f" ({view.clean.probabilities[true]:.2f}): the attack fails, it stays so "
            f"({view.adversarial.probabilities[true]:.2f}). Try more strength or another image.",
        ]  # fmt: skip
    return [
        *parts, f" ({view.clean.probabilities[true]:.2f}), becomes ", *_called(names, after, "text-adversarial"),
        f" ({view.adversarial.probabilities[after]:.2f}) under the attack.",
    ]  # fmt: skip


def experiment(
    view: Inspection, changed: Changed | None, selection: Selection, sizes: Mapping[str, int], route: Units | None
) -> list[object]:
    """What the picked units do to the answer."""
    if changed is None:
        return ["Choose units below, the route of this image for a start: does changing them undo the attack?"]
    names, true = view.class_names, view.true_class
    before, after = int(view.adversarial.ranking[0]), int(changed.adversarial.argmax())
    probability = f" ({changed.adversarial[after]:.2f})"
    parts: list[object] = [doing(selection, sizes, route)]
    if after == before:
        same = "leaves the attacked image " if before != true else "leaves it "
        parts += [f" {same}", *_called(names, after, "text-adversarial" if after != true else "text-clean")]
        parts += [f" ({view.adversarial.probabilities[after]:.2f} → {changed.adversarial[after]:.2f})."]
    elif after == true:
        parts += [" turns the attacked ", html.Strong(names[before], className="text-adversarial"), " back into "]
        parts += [*_called(names, after, "text-clean"), f"{probability}."]
    else:
        parts += [" turns the attacked ", html.Strong(names[before], className="text-adversarial"), " into "]
        parts += [
            *_called(names, after, "text-adversarial"),
            f"{probability}, not back into {with_article(names[true])}.",
        ]
    return [*parts, " ", *_clean_side(view, changed, selection)]


def _clean_side(view: Inspection, changed: Changed, selection: Selection) -> list[object]:
    """What the same does to the clean image."""
    names, now = view.class_names, int(changed.clean.argmax())
    called = f"{with_article(names[now])} ({changed.clean[now]:.2f})"
    same = now == int(view.clean.ranking[0])
    if selection.act == "transplant":
        text = f"The other way round, attacked values in the clean image {'leave' if same else 'make'} it {called}."
    else:
        text = f"The clean image {'stays' if same else 'becomes'} {called}."
    return [html.Span(text, className="text-body-secondary")]


def doing(selection: Selection, sizes: Mapping[str, int], route: Units | None) -> str:
    """An experiment as the subject of a sentence."""
    units = picked_words(selection.picked, sizes, route)
    left = kept_factor(selection)
    if selection.act == "transplant":
        return f"Replacing {units} by their clean values"
    between = f"the weights between {units}"
    if selection.act == "weaken":
        return f"Cutting {between}" if left == 0 else f"Weakening {between} to {left:.0%}"
    return f"Switching off {units}" if left == 0 else f"Damping {units} to {left:.0%}"


def picked_words(
    picked: Sequence[tuple[str, Sequence[int]]], sizes: Mapping[str, int], route: Units | None = None
) -> str:
    """How many units of which layers; and whether they are the image's route."""
    parts = [f"{len(units):,} of {sizes.get(layer, 0):,} units of {layer}" for layer, units in picked]
    if len(parts) > NAMED_LAYERS:
        total, of = sum(len(units) for _, units in picked), sum(sizes.get(layer, 0) for layer, _ in picked)
        parts = [f"{total:,} of {of:,} units in {len(picked)} layers"]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    if route is not None and {layer: list(units) for layer, units in picked} == {
        layer: units.tolist() for layer, units in route.items()
    }:
        return f"the route of this image ({listed})"
    return listed


def likeness(change: PathChange, class_paths: ClassPaths | None, true_class: int) -> object:
    """How much of both paths lies on the class paths of the true class and of the one the attack leads to."""
    if class_paths is None:
        return "How much of the path lies on the class paths is said once these are computed."
    led_to = change.before.target
    rows = []
    for number in dict.fromkeys(one for one in (true_class, led_to) if one is not None):
        if not class_paths.counts[number]:
            continue
        expected = class_paths.paths[number]
        before, after = change.before.overlap(expected), change.after.overlap(expected)
        rows.append(f"{class_paths.class_names[number]}: {before:.3f} → {after:.3f}")
    return f"Share of the path on the class path of {'; of '.join(rows)} (without → with the change)." if rows else None


def _called(names: Sequence[str], number: int, color: str) -> list[object]:
    article, _, name = with_article(names[number]).partition(" ")
    return [f"{article} ", html.Strong(name, className=color)]
