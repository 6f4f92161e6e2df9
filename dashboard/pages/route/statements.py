"""What the papers say of critical routes, and whether it holds for this model: sentences and a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard.pages.route.view import Report
from dashboard.pages.unit_pages import table
from engine.attacks.catalogue import attacks

SURE = 0.05
NAMED_LAYERS = 3
HOLDS, BY_CHANCE, IN_PART, NOT, UNTOLD = (
    "Holds.",
    "Holds, perhaps by chance.",
    "Holds in part.",
    "Does not hold.",
    "Not told.",
)
_PARTS = {5: "fifth", 4: "quarter", 3: "third", 2: "half"}
Statement = tuple[str, str]
Layer = Mapping[str, Any]


def summary(report: Report) -> list[object]:
    """The outcome in one sentence."""
    words = [word for word, _ in _found(report) if word != UNTOLD]
    whole = report["transplant"]["cumulative"][-1]
    parts: list[object] = ["The model's route under ", html.Strong(_attack(report)), ": "]
    if report["transplant"]["misled"]:
        parts.append(
            f"clean values at its {whole['units']:,} units repair {whole['route']:.0%} of the misled images, at as "
            f"many others {_mean(whole['control']):.0%}. "
        )
    return [*parts, f"Of {len(words)} statements about such routes {words.count(HOLDS)} hold; see below."]


def statements(report: Report) -> list[object]:
    """A sentence for each statement, with a word that says whether it holds."""
    items = [html.Li([html.Strong(word, className=_color(word)), f" {text}"]) for word, text in _found(report)]
    note = (
        "p: the chance of so large a difference if the units on the route and the others were alike. Perhaps by "
        "chance: so few units or images may differ as much without a reason (95 %)."
    )
    return [
        html.P(_made_of(report), className="mb-1"),
        html.Ul(items, className="statements"),
        html.P(note, className="small text-body-secondary mb-0 mt-1"),
    ]


def _color(word: str) -> str:
    return "text-success-emphasis" if word == HOLDS else "text-body-secondary"


def _made_of(report: Report) -> str:
    return (
        f"The route of the model under {_attack(report)}, from {report['route_images']:,} training images; tried on "
        f"{report['pairs']:,} test images, {report['misled']:.0%} of them misled."
    )


def _attack(report: Report) -> str:
    name, given = report["attack"], report["attack_settings"]
    label = attacks[name].label if name in attacks else name
    strength = f" at ε = {given['epsilon']:g}" if isinstance(given.get("epsilon"), int | float) else ""
    return f"{label}{strength}"


def _found(report: Report) -> list[Statement]:
    """Each statement: a word that says whether it holds, and the sentence."""
    found = (
        _often(report),
        _differs(report, "sensitivity", "Its units react more to the attack than others"),
        _differs(report, "gradient", "The loss depends more on them than on others"),
        _repairs(report),
        _switched_off(report),
        _weakened(report),
        _hard(report),
    )
    return [one for one in found if one is not None]


def _often(report: Report) -> Statement | None:
    share = report["settings"]["share"]
    found = [(layer["name"], layer["mean_occurrence"]) for layer in report["layers"]]
    known = [(name, value) for name, value in found if value is not None]
    if not known:
        return None
    words = _listed([f"{value:.0%} of them in {name}" for name, value in known])
    words = words or f"{_mean([value for _, value in known]):.0%} of them, in the mean of {len(known)} layers"
    text = f"Attacked images share their route: a unit of it is on the routes of {words} (by chance {share:.0%})."
    return _word(all(value > share for _, value in known)), text


def _differs(report: Report, quantity: str, claim: str) -> Statement | None:
    found = [(one["layer"], one[quantity]["ratio"], one[quantity]["p"]) for one in report["contrast"]]
    known = [(layer, ratio, p) for layer, ratio, p in found if ratio is not None]
    if not known:
        return None
    up = [one for one in known if one[1] > 1]
    sure = [one for one in up if one[2] is not None and one[2] < SURE]
    words = _listed([f"{ratio:.2g} times as much in {layer} ({_chance(p)})" for layer, ratio, p in known])
    if not words:
        words = f"in {len(up)} of {len(known)} layers, in {len(sure)} beyond chance (p < {SURE}); {_extremes(known)}"
    may_hold = BY_CHANCE if len(up) == len(known) else NOT
    word = HOLDS if len(sure) == len(known) else IN_PART if sure else may_hold
    return word, f"{claim}: {words}."


def _chance(p: float | None) -> str:
    if p is None:
        return "no test"
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _extremes(known: Sequence[tuple[str, float, Any]]) -> str:
    most, least = max(known, key=lambda one: one[1]), min(known, key=lambda one: one[1])
    return f"most in {most[0]} ({most[1]:.2g} times), least in {least[0]} ({least[1]:.2g} times)"


def _repairs(report: Report) -> Statement:
    whole = report["transplant"]["cumulative"][-1]
    if not report["transplant"]["misled"]:
        return UNTOLD, "The attack misled no test image, so there is nothing to repair."
    fewer = f" (only {whole['control_units']:,} are left)" if whole["control_units"] < whole["units"] else ""
    text = (
        f"It carries the attack: clean values at its {whole['units']:,} units repair {whole['route']:.0%} of the "
        f"misled images, at as many others{fewer} {_mean(whole['control']):.0%}."
    )
    return _more(whole["route"], _mean(whole["control"]), report["transplant"]["misled"]), text


def _switched_off(report: Report) -> Statement:
    found = report["deactivation"]
    words = [_more(_mean(one["clean"]["control"]), one["clean"]["route"], report["pairs"]) for one in found]
    worst = min(found, key=lambda one: one["clean"]["route"] - _mean(one["clean"]["control"]))
    sure = words.count(HOLDS)
    may_hold = NOT if NOT in words else BY_CHANCE
    word = HOLDS if sure == len(found) else IN_PART if sure else may_hold
    where = f"{sure} of {len(found)} layers; in {worst['layer']}," if len(found) > 1 else f"{worst['layer']}, where"
    text = (
        f"The model needs its units more: switched off they cost clearly more than others in {where} "
        f"{worst['clean']['route']:.0%} of the clean images stay right (others: "
        f"{_mean(worst['clean']['control']):.0%})."
    )
    return word, text


def _weakened(report: Report) -> Statement | None:
    if not report["weakening"]:
        return None
    entry = report["weakening"][-1]
    order = sorted(range(len(entry["betas"])), key=lambda place: entry["betas"][place])
    least, whole = order[0], order[-1]
    attacked, clean = entry["adversarial"], entry["clean"]
    control = _mean([draw[least] for draw in attacked["control"]])
    text = (
        f"Weakening its connections helps: at factor {entry['betas'][least]:g}, {attacked['route'][least]:.0%} of the "
        f"attacked images are right (untouched {attacked['route'][whole]:.0%}, others weakened {control:.0%}) and "
        f"{clean['route'][least]:.0%} of the clean ones."
    )
    return _more(attacked["route"][least], max(control, attacked["route"][whole]), report["pairs"]), text


def _hard(report: Report) -> Statement | None:
    fgsm = report["hardness"]["fgsm"]
    groups = fgsm["groups"]
    if len(groups) < 2 or groups[0] is None or groups[-1] is None:
        return None
    part = _PARTS.get(len(groups), "group")
    text = (
        f"Its gradients foretell who withstands an attack: FGSM at ε = {fgsm['epsilon']:.3g} fails on "
        f"{groups[-1]:.0%} of the hardest {part} of the images, on {groups[0]:.0%} of the easiest."
    )
    return _more(groups[-1], groups[0], min(fgsm["counts"])), text


def layer_table(report: Report) -> html.Table:
    """What was measured of each layer."""
    contrast = {one["layer"]: one for one in report["contrast"]}
    single = {one["layer"]: one for one in report["transplant"]["single"]}
    rows = []
    for layer in report["layers"]:
        name = layer["name"]
        numbers = (
            (layer["mean_occurrence"], ".0%"),
            *[(contrast[name][quantity]["ratio"], ".2f") for quantity in ("sensitivity", "gradient")],
            (single[name]["route"], ".0%"),
            (_mean(single[name]["control"]) if _known(single[name]["control"]) else None, ".0%"),
        )
        on_route = f"{len(layer['chosen']):,} of {layer['units']:,}"
        rows.append((name, on_route, *["–" if value is None else format(value, form) for value, form in numbers]))
    heads = ("layer", "on route", "occurrence", "sensitivity ×", "gradient ×", "repairs", "others repair")
    return table(heads, rows)


def _word(holds: bool) -> str:
    return HOLDS if holds else NOT


def _more(high: float, low: float, images: int) -> str:
    """Whether one share of images is above another, by more than 95 % of so many images would differ by chance."""
    by_chance = 1.96 * math.sqrt((high * (1 - high) + low * (1 - low)) / max(images, 1))
    return NOT if high <= low else HOLDS if high - low > by_chance else BY_CHANCE


def _listed(parts: Sequence[str]) -> str:
    """At most three things in a row; nothing where there are more."""
    if len(parts) > NAMED_LAYERS:
        return ""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Sequence[float | None]) -> float:
    known = _known(values)
    return sum(known) / len(known) if known else 0.0
